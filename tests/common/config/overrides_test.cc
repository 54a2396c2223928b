// What stands after --set.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/validate.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using testing::HasSubstr;

JobConfig read(const std::string& text, std::vector<std::string> overrides) {
  Problems problems;
  JobConfig job = read_job_text("here/job.yaml", text, {std::move(overrides), false}, problems);
  EXPECT_EQ(joined(problems), "");
  return job;
}

TEST(Overrides, ReplaceAddAndWinLast) {
  const JobConfig job = read(minimal_job("prefill: {chunk: 64}\n"),
                             {"prefill.chunk=7", "sampling.seed=1", "sampling.seed=2",
                              "chat.system=a = b", "decode={parallel: 3}"});
  EXPECT_EQ(job.chunk, 7U);
  EXPECT_EQ(job.sampling.seed, 2U);
  EXPECT_EQ(job.chat.system, "a = b");
  EXPECT_EQ(job.parallel, 3U);
}

TEST(Overrides, ReachListsByNumber) {
  const JobConfig job = read("model: m\ndocument: d\nquestions: [a, {id: x, text: b}]\n",
                             {"questions.1.text=B", "questions.0=A", "questions.2={text: C}",
                              "sampling.stop.0=x", "sampling.stop.1=y"});
  ASSERT_EQ(job.questions.size(), 3U);
  EXPECT_EQ(job.questions[0].text, "A");
  EXPECT_EQ(job.questions[1].text, "B");
  EXPECT_EQ(job.questions[1].id, "x");
  EXPECT_EQ(job.questions[2].text, "C");
  EXPECT_THAT(job.sampling.stop, testing::ElementsAre("x", "y"));
}

TEST(Overrides, FillAnEmptyFile) {
  const JobConfig job = read("# nothing\n", {"model=m", "document=d", "questions=[a]"});
  EXPECT_EQ(job.model, "m");
}

TEST(Overrides, PathsStartFromTheWorkingFolder) {
  const JobConfig job = read(minimal_job(), {"document=x.txt"});
  EXPECT_EQ(job.model, "here/m.gguf");
  EXPECT_EQ(job.document.files.at(0), "x.txt");
}

TEST(Overrides, AreNamedInProblems) {
  EXPECT_EQ(job_problems(minimal_job(), {"prefill.chunk=0"}),
            "--set 'prefill.chunk=0': prefill.chunk: must be between 1 and 65536, is 0");
  EXPECT_THAT(job_problems(minimal_job(), {"prefil.chunk=1"}),
              HasSubstr("--set 'prefil.chunk=1': unknown key 'prefil'; did you mean 'prefill'?"));
  EXPECT_THAT(job_problems(minimal_job(), {"prefill.chunks=1"}),
              HasSubstr("--set 'prefill.chunks=1': prefill: unknown key 'chunks'; did you mean "
                        "'chunk'?"));
  EXPECT_EQ(job_problems(minimal_job(), {"name="}),
            "--set 'name=': name: must be a text, is empty");
}

TEST(Overrides, BadOnesAreNamed) {
  EXPECT_EQ(job_problems(minimal_job(), {"prefill.chunk"}),
            "--set 'prefill.chunk': has no '='; write path.to.key=value");
  for (const char* text : {"=1", "a..b=1", ".a=1", "a.=1"}) {
    EXPECT_THAT(job_problems(minimal_job(), {text}),
                HasSubstr(fmt::format("--set '{}': a name is missing", text)));
  }
  EXPECT_EQ(job_problems(minimal_job(), {"model.path=x"}),
            "--set 'model.path=x': model is the text 'm.gguf' and holds nothing named 'path'; set "
            "it as a whole");
  EXPECT_EQ(
      job_problems(minimal_job(), {"questions.5=x"}),
      "--set 'questions.5=x': questions is a list of 1; name an item by a number up to 1, not "
      "'5'");
  EXPECT_EQ(
      job_problems(minimal_job(), {"questions.first=x"}),
      "--set 'questions.first=x': questions is a list of 1; name an item by a number up to 1, "
      "not 'first'");
  EXPECT_EQ(job_problems(minimal_job(), {"name=a: b: c"}),
            "--set 'name=a: b: c': not valid YAML: illegal map value");
  EXPECT_EQ(job_problems(minimal_job(), {"name=*x"}),
            "--set 'name=*x': not valid YAML: the referenced anchor is not defined");
}

TEST(Overrides, AreBoundedLikeFiles) {
  std::string path = "a";
  for (int i = 0; i < 100'000; ++i) path += ".a";
  EXPECT_THAT(job_problems(minimal_job(), {path + "=1"}), HasSubstr("names more than 32 levels"));
  EXPECT_THAT(
      job_problems(minimal_job(), {"a=" + std::string(100'000, '[') + std::string(100'000, ']')}),
      HasSubstr("nested more than 32 deep"));
}

TEST(Overrides, AreDealtOut) {
  const std::vector<std::string> all = {"cluster.threads=2", "name=a", "cluster.layers=0:3"};
  const Overrides overrides = split_overrides(all);
  EXPECT_THAT(overrides.job, testing::ElementsAre("name=a"));
  EXPECT_EQ(cluster_problems("{}", overrides.cluster), "");
  EXPECT_EQ(cluster_problems("{}", {"cluster.threads=0"}),
            "--set 'cluster.threads=0': threads: must be auto or between 1 and 1024, is 0");
  EXPECT_THAT(overrides.cluster, testing::ElementsAre("cluster.threads=2", "cluster.layers=0:3"));
}

}  // namespace
}  // namespace varve
