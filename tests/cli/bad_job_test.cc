// Jobs that are wrong, through the program: the exit code, and one report that says what, where,
// and what would be right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/cli/job_folder.h"
#include "tests/support/sanitized.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using BadJob = JobFolder;

// What any of these may take beside what the program takes anyway; bombs would want far more.
// A sanitizer keeps several bytes of notes for each of the program's.
constexpr std::size_t kMostMemory = std::size_t{kSanitized ? 8 : 1} << 30;

TEST_F(BadJob, TheJobIsRightUntilATestChangesIt) {
  EXPECT_EQ(run("validate").err, "");
  EXPECT_EQ(run("plan").code, 0);
  const Ended ended = run("run", "--set sampling.max_tokens=3 --ranks 2");
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_TRUE(std::filesystem::exists(path("out/run.json")));
}

struct Refusal {
  const char* lines;    // added to the job
  const char* options;  // of the command line
  const char* report;
};

class BadJobValue : public JobFolder, public testing::WithParamInterface<Refusal> {};

TEST_P(BadJobValue, IsOneReport) {
  const Refusal& refusal = GetParam();
  write_job(refusal.lines);
  for (const char* verb : {"validate", "plan", "run"}) {
    const Ended ended = run(verb, refusal.options);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.out, "");
    const std::string name = verb == std::string_view("validate") ? "" : "varve: ";
    EXPECT_EQ(ended.err, name + refusal.report + "\n");
  }
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

INSTANTIATE_TEST_SUITE_P(
    Values, BadJobValue,
    testing::Values(
        Refusal{"sampling: {temperature: .nan}", "",
                "job.yaml:6:12: sampling.temperature: must be a number between 0 and 100, is the "
                "text '.nan'"},
        Refusal{"sampling: {seed: -1}", "",
                "job.yaml:6:12: sampling.seed: must be between 0 and 18446744073709551615, is -1"},
        Refusal{"", "--set sampling.temperature=nan",
                "--set 'sampling.temperature=nan': sampling.temperature: must be a number between "
                "0 and 100, is the text 'nan'"},
        Refusal{"", "--set sampling.temprature=1",
                "--set 'sampling.temprature=1': sampling: unknown key 'temprature'; did you mean "
                "'temperature'?; known: temperature, top_k, top_p, min_p, max_tokens, seed, stop"},
        Refusal{"", "--set chat.template=alpaca",
                "--set 'chat.template=alpaca': chat.template: unknown value 'alpaca'; known: auto, "
                "chatml, llama3, mistral, qwen, raw"},
        Refusal{"cache: {policy: ful}", "",
                "job.yaml:6:9: cache.policy: unknown value 'ful'; did you mean 'full'?; known: "
                "full, streaming_llm, h2o, tova, snapkv, pyramidkv, adakv, knorm, keydiff, "
                "expected_attention, zigzagkv, scope_slide, scope_adaptive, scope_discontinuous, "
                "scope, kivi4, kivi2, guided"},
        Refusal{
            "", "--backend cpuu",
            "--set 'cluster.backend=cpuu': backend: unknown value 'cpuu'; did you mean 'cpu'?; "
            "known: auto, cpu, reference, cuda, cuda:f32, cpu:amx, cpu:avx512, cpu:avx2, cpu:sse4, "
            "cpu:neon, cpu:scalar"},
        Refusal{"", "--layers 0:1,0:2",
                "--set 'cluster.layers=0:1,0:2': layers: 0:2 must begin at 1, where the range "
                "before it ends"},
        Refusal{"", "--layers 1:2",
                "--set 'cluster.layers=1:2': layers: 1:2 must begin at 0, where a model begins"},
        Refusal{"", "--layers half",
                "--set 'cluster.layers=half': layers: must be auto or ranges of layers such as "
                "0:15, is 'half'"},
        Refusal{"", "--ranks 3 --layers 0:1,1:2",
                "--set 'cluster.layers=0:1,1:2': layers: names 2 ranges for 3 ranks; every rank "
                "needs one"},
        Refusal{"", "--set questions=[]",
                "--set 'questions=[]': questions: must name at least one question"},
        Refusal{"", "--set 'questions=[{id: a, text: b}, {id: a, text: c}]'",
                "--set 'questions=[{id: a, text: b}, {id: a, text: c}]': questions.1: the id 'a' "
                "is given twice, first to question 1"},
        Refusal{"model: again", "",
                "job.yaml:6:1: the key 'model' is given twice; first in line 1"}));

struct FileRefusal {
  const char* document;
  const char* questions;
  const char* report;
};

class BadJobFile : public JobFolder, public testing::WithParamInterface<FileRefusal> {};

TEST_P(BadJobFile, IsOneReport) {
  const auto& [document, questions, report] = GetParam();
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  std::filesystem::create_directory(folder_ / "folder");
  std::filesystem::create_symlink("loop", folder_ / "loop");
  write("empty.txt", "");
  write("latin1.txt", "caf\xe9\n");
  write("blank.jsonl", "\n\n");
  write("twice.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 1, \"text\": \"b\"}\n");
  write("job.yaml", std::string("model: m.gguf\nchat: {template: raw}\noutput: {dir: out}\n"
                                "document: ") +
                        document + "\nquestions: " + questions + "\n");
  for (const char* verb : {"plan", "run"}) {
    const Ended ended = run(verb);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.err, std::string("varve: ") + report + "\n");
  }
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadJobFile,
    testing::Values(
        FileRefusal{"none.txt", "[a]", "job.yaml:4:1: document: none.txt: no such file"},
        FileRefusal{"empty.txt", "[a]",
                    "job.yaml:4:1: document: is empty, there is nothing to read"},
        FileRefusal{"{text: ''}", "[a]",
                    "job.yaml:4:12: document.text: is empty, there is nothing to read"},
        FileRefusal{"latin1.txt", "[a]",
                    "latin1.txt:1: is not UTF-8 text: byte 3 is 0xe9; convert the file, for "
                    "example with iconv -f latin1 -t utf-8"},
        FileRefusal{"{glob: 'no*.txt'}", "[a]",
                    "job.yaml:4:12: document.glob: 'no*.txt' matches no file"},
        FileRefusal{"folder", "[a]", "job.yaml:4:1: document: folder: is a folder, not a file"},
        FileRefusal{"pipe", "[a]", "job.yaml:4:1: document: pipe: is a pipe, not a file"},
        FileRefusal{"/dev/zero", "[a]",
                    "job.yaml:4:1: document: /dev/zero: is a device, not a file"},
        FileRefusal{"loop", "[a]",
                    "job.yaml:4:1: document: loop: cannot be opened: Too many levels of symbolic "
                    "links"},
        FileRefusal{"d.txt", "{file: none.jsonl}",
                    "job.yaml:5:13: questions.file: none.jsonl: no such file"},
        FileRefusal{"d.txt", "{file: empty.txt}",
                    "job.yaml:5:13: questions.file: empty.txt: holds no question"},
        FileRefusal{"d.txt", "{file: blank.jsonl}",
                    "job.yaml:5:13: questions.file: blank.jsonl: holds no question"},
        FileRefusal{"d.txt", "{file: twice.jsonl}",
                    "job.yaml:5:13: questions.file: twice.jsonl:2: the id '1' is given twice, "
                    "first to question 1"},
        FileRefusal{"d.txt", "[' ']", "job.yaml:5:13: questions.0: the question is empty"}));

TEST_F(BadJob, AFileThatMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  ASSERT_EQ(::chmod(path("d.txt").c_str(), 0), 0);
  EXPECT_EQ(run("plan").err,
            "varve: job.yaml:2:1: document: d.txt: cannot be opened: Permission denied\n");
  ASSERT_EQ(::chmod(path("job.yaml").c_str(), 0), 0);
  EXPECT_EQ(run("plan").err, "varve: job.yaml: cannot be opened: Permission denied\n");
}

TEST_F(BadJob, AJobThatIsNoFile) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const auto report = [](const std::string& job) { return run_varve("validate " + job).err; };
  EXPECT_EQ(report(folder_.path().string()),
            folder_.path().string() + ": is a folder, not a file\n");
  EXPECT_EQ(report(path("pipe")), path("pipe") + ": is a pipe, not a file\n");
  EXPECT_EQ(report("/dev/zero"), "/dev/zero: is a device, not a file\n");
}

TEST_F(BadJob, AClusterFileThatIsWrong) {
  write("c.yaml", "memory: 1\nlayrs: auto\n");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const auto report = [&](const char* file) {
    const Ended ended = run("run", "--cluster " + path(file));
    EXPECT_EQ(ended.code, 2);
    return ended.err;
  };
  EXPECT_EQ(
      report("c.yaml"),
      "varve: c.yaml:1:1: memory: must be auto or a size between 1 MiB and 64 TiB, is 1\n"
      "c.yaml:2:1: unknown key 'layrs'; did you mean 'layers'?; known: backend, transport, "
      "activations, share_devices, device_graphs, ranks, threads, pin_threads, layers, memory, "
      "in_flight, control, deadlines\n");
  EXPECT_EQ(report("pipe"), "varve: pipe: is a pipe, not a file\n");
  EXPECT_EQ(report("none.yaml"), "varve: none.yaml: no such file\n");
}

TEST_F(BadJob, YamlThatIsJunk) {
  std::filesystem::copy_file(path("m.gguf"), path("job.yaml"),
                             std::filesystem::copy_options::overwrite_existing);
  const Ended gguf = run("validate");
  EXPECT_EQ(gguf.code, 2);
  EXPECT_EQ(gguf.err, "job.yaml:1:5: control character U+0003; is this text?\n");
  write("job.yaml",
        "\x7f"
        "ELF\x02");
  EXPECT_EQ(run("validate").err, "job.yaml:1:1: control character U+007F; is this text?\n");
  write("job.yaml", "\xff\xfem\xff");
  EXPECT_EQ(run("validate").err, "job.yaml:1:1: is not UTF-8 text\n");
  write("job.yaml", "");
  EXPECT_EQ(run("validate").err, "job.yaml: is empty\n");
}

TEST_F(BadJob, YamlBombs) {
  const auto refused = [&](const std::string& text) {
    write("job.yaml", text);
    const Ended ended = run("run");
    EXPECT_EQ(ended.code, 2);
    EXPECT_LT(ended.peak_bytes, kMostMemory);
    return ended.err;
  };
  std::string laughs = "a: &a [lol, lol]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    laughs += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) laughs += std::string("*") + static_cast<char>(c - 1) + ", ";
    laughs += "]\n";
  }
  EXPECT_EQ(refused(laughs),
            "varve: job.yaml:1:4: anchors (&name) are not supported; write the value out\n");
  for (const char* open : {"[", "{a: ", "- ", "? "}) {
    std::string deep;
    while (deep.size() < 1'000'000) deep += open;
    EXPECT_THAT(refused(deep), StartsWith("varve: job.yaml:1:")) << open;
  }
  EXPECT_THAT(refused("x: " + std::string(500'000, '[') + std::string(500'000, ']')),
              HasSubstr("lists and maps are nested more than 32 deep"));
  std::string many = "a: [";
  while (many.size() < 1'000'000) many += "1,";
  EXPECT_THAT(refused(many + "]"), HasSubstr("holds more than 100000 values"));
}

TEST_F(BadJob, AYamlFileOfAGigabyte) {
  // Sparse: takes no room on the disk.
  std::filesystem::resize_file(path("job.yaml"), std::uintmax_t{1} << 30);
  const Ended ended = run("run");
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.err, "varve: job.yaml: is larger than 8 MiB\n");
  EXPECT_LT(ended.peak_bytes, kMostMemory);
}

TEST_F(BadJob, ACutThatDoesNotCoverTheModel) {
  for (const char* verb : {"plan", "run"}) {
    const Ended ended = run(verb, "--layers 0:1");
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.err,
              "varve: --set 'cluster.layers=0:1': layers: must end at 2, the model's count of "
              "layers, ends at 1\n");
  }
}

TEST_F(BadJob, MoreRanksThanLayers) {
  for (const char* verb : {"plan", "run"}) {
    const Ended ended = run(verb, "--ranks 3");
    EXPECT_EQ(ended.code, 3);
    EXPECT_EQ(ended.err,
              "varve: 3 ranks for the 2 layers of small: a rank needs at least one layer, so start "
              "at most 2\n");
  }
}

TEST_F(BadJob, MpiWithoutALauncher) {
  const Ended ended = run("run", "--set cluster.transport=mpi");
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.err,
            "varve: cluster.transport is mpi, but no launcher started this process; use mpirun\n");
}

TEST_F(BadJob, ADocumentLongerThanTheContext) {
  write("d.txt", std::string(300, 'x'));
  for (const char* verb : {"plan", "run"}) {
    const Ended ended = run(verb);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.err,
              "varve: the document is too long: its 300 tokens are 44 more than the 256 of small's "
              "context; policy full keeps every row and cannot go beyond the trained context; a "
              "streaming policy can: streaming_llm, guided\n");
  }
}

TEST_F(BadJob, AQuestionLongerThanTheContext) {
  write("q.txt", "Why?\n" + std::string(300, 'x') + "\n" + std::string(250, 'y') + "\n");
  const Ended ended = run("run", "--set 'questions=[{file: " + path("q.txt") + "}]'");
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err,
              AllOf(StartsWith("varve: question 'q2' is too long: its 30"),
                    HasSubstr(" more than the 256 of small's context\nquestion 'q3' is too long: "),
                    HasSubstr("after the "), HasSubstr("policy full keeps every row")));
}

TEST_F(BadJob, ABackendThatIsNotBuilt) {
  const Ended ended = run("run", "--backend cuda");
  if (ended.code == 0) GTEST_SKIP() << "this build has it";
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.err,
              AnyOf(HasSubstr("varve: backend cuda: this build of varve has no CUDA; backend auto, "
                              "cpu or reference would be right\n"),
                    HasSubstr("sees no GPU that this build can use")));
}

}  // namespace
}  // namespace varve
