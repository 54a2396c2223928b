// The program as a user meets it: exit codes, and messages that say what, where, and what would be
// right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Ended {
  int code;
  std::string output;  // stdout and stderr
};

Ended varve(const std::string& arguments) {
  const std::string command = std::string(VARVE_PROGRAM) + " " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::string output;
  std::array<char, 4096> part{};
  while (const std::size_t n = fread(part.data(), 1, part.size(), pipe)) {
    output.append(part.data(), n);
  }
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

TEST(CommandLine, HelpNamesTheCommandsAndTheExitCodes) {
  const Ended ended = varve("--help");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("run"), HasSubstr("plan"), HasSubstr("validate"),
                                  HasSubstr("5 a rank was lost")));
  EXPECT_THAT(varve("run --help").output, AllOf(HasSubstr("--layers"), HasSubstr("--set")));
}

TEST(CommandLine, WrongUseIsTwo) {
  EXPECT_EQ(varve("").code, 2);
  EXPECT_EQ(varve("runn job.yaml").code, 2);
  EXPECT_EQ(varve("run").code, 2);
  EXPECT_EQ(varve("run --no-such-option job.yaml").code, 2);
}

TEST(CommandLine, AJobFileThatIsMissing) {
  for (const char* verb : {"run", "plan", "validate"}) {
    const Ended ended = varve(std::string(verb) + " /nowhere/job.yaml");
    EXPECT_EQ(ended.code, 2) << verb;
    EXPECT_THAT(ended.output, HasSubstr("/nowhere/job.yaml")) << verb;
  }
}

class JobFile : public testing::Test {
 protected:
  // Writes a job about a short document and returns the command line's argument for it.
  std::string job(const std::string& lines) {
    std::ofstream(folder_.path() / "document.txt") << "In the beginning.\n";
    std::ofstream(folder_.path() / "job.yaml") << lines;
    return (folder_.path() / "job.yaml").string();
  }
  std::string complete(const std::string& model) {
    return job("model: " + model + "\ndocument: document.txt\nquestions: [What]\noutput: {dir: " +
               (folder_.path() / "out").string() + "}\n");
  }
  const char* model_or_skip() { return std::getenv("VARVE_SMOLLM2"); }

  TempFolder folder_;
};

TEST_F(JobFile, AllProblemsAtOnceWithTheirPlaces) {
  const std::string file =
      job("model: nowhere.gguf\ndocument: document.txt\nquestons: [a]\nprefill: {chunk: 0}\n");
  for (const char* verb : {"validate ", "run ", "plan "}) {
    const Ended ended = varve(verb + file);
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(ended.output,
                AllOf(HasSubstr("job.yaml:3:1:"), HasSubstr("did you mean 'questions'"),
                      HasSubstr("job.yaml:4:11: prefill.chunk:"), HasSubstr("nowhere.gguf")))
        << verb;
  }
}

TEST_F(JobFile, AModelThatIsNone) {
  std::ofstream(folder_.path() / "m.gguf") << "this is not a model";
  const Ended ended = varve("plan " + complete("m.gguf"));
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("m.gguf"), HasSubstr("GGUF")));
}

TEST_F(JobFile, PlanRunAndWhatDoesNotFit) {
  const char* model = model_or_skip();
  if (model == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
  const std::string file = complete(model);
  const Ended plan = varve("plan " + file + " --ranks 4");
  EXPECT_EQ(plan.code, 0);
  EXPECT_THAT(plan.output, HasSubstr("30 layers on 4 ranks"));

  const Ended tight = varve("run " + file + " --memory 64MiB");
  EXPECT_EQ(tight.code, 3);
  EXPECT_THAT(tight.output, AllOf(HasSubstr("64 MiB"), HasSubstr("cluster.memory")));

  const Ended cut = varve("run " + file + " --ranks 2 --layers 0:10,10:20");
  EXPECT_EQ(cut.code, 2);
  EXPECT_THAT(cut.output, HasSubstr("layers"));

  const Ended unwritable = varve("run " + file + " --output /proc/no");
  EXPECT_EQ(unwritable.code, 2);
  EXPECT_THAT(unwritable.output, HasSubstr("/proc/no"));

  const Ended cuda = varve("run " + file + " --backend cuda");
  EXPECT_EQ(cuda.code, 1);
  EXPECT_THAT(cuda.output, HasSubstr("cuda"));

  const Ended run = varve("run " + file + " --ranks 3 --set sampling.max_tokens=4");
  EXPECT_EQ(run.code, 0) << run.output;
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out" / "results.jsonl"));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "out" / "run.json"));
}

TEST_F(JobFile, ADocumentBeyondTheContextSaysByHowMuch) {
  const char* model = model_or_skip();
  if (model == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
  const std::string file = complete(model);
  std::ofstream document(folder_.path() / "document.txt");
  for (int i = 0; i < 9000; ++i) document << "word ";
  document.close();
  const Ended ended = varve("run " + file);
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.output, AllOf(HasSubstr("8192"), HasSubstr("context"), HasSubstr("full")));
}

}  // namespace
}  // namespace varve
