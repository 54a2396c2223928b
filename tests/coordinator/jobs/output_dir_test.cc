#include "coordinator/jobs/output_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/jobs/atomic_file.h"
#include "coordinator/jobs/results.h"
#include "coordinator/jobs/verdict_file.h"
#include "tests/coordinator/jobs/scratch_dir.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
using test::entries;
using test::message_of;
using test::read_text;
using test::ScratchDir;
using test::write_text;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(OutputDir, IsMadeWithItsParentsAndLeftEmpty) {
  const ScratchDir scratch;
  const OutputPaths paths = prepare_output_dir(scratch / "a/b/out", false);
  EXPECT_TRUE(fs::is_directory(scratch / "a/b/out"));
  EXPECT_EQ(entries(paths.dir), 0U);
  EXPECT_EQ(paths.results, scratch / "a/b/out/results.jsonl");
  EXPECT_EQ(paths.run, scratch / "a/b/out/run.json");
  EXPECT_EQ(paths.verdict, scratch / "a/b/out/verdict.json");
}

TEST(OutputDir, LinkToAFolderWillDo) {
  const ScratchDir scratch;
  fs::create_directory(scratch / "real");
  fs::create_directory_symlink(scratch / "real", scratch / "link");
  EXPECT_NO_THROW(prepare_output_dir(scratch / "link", true));
}

TEST(OutputDir, EarlierResultsAreKeptUntilTheNewOnesBegin) {
  const ScratchDir scratch;
  write_text(scratch / "results.jsonl", "old\n");
  write_text(scratch / "verdict.json", "old\n");
  const OutputPaths paths = prepare_output_dir(scratch.path(), true);
  EXPECT_EQ(read_text(paths.results), "old\n");
  const ResultsWriter writer(paths);
  EXPECT_EQ(read_text(paths.results), "");
  EXPECT_FALSE(fs::exists(paths.verdict));
}

TEST(OutputDir, EarlierResultsAreNotOverwrittenUnlessAsked) {
  const ScratchDir scratch;
  write_text(scratch / "run.json", "{}\n");
  EXPECT_EQ(message_of<ConfigError>([&] { prepare_output_dir(scratch.path(), false); }),
            (scratch / "run.json").string() +
                ": is there from an earlier run; choose another output.dir, or set "
                "output.overwrite: true");
}

TEST(OutputDir, FileWhereTheFolderShouldBe) {
  const ScratchDir scratch;
  write_text(scratch / "out", "x");
  EXPECT_THAT(message_of<IoError>([&] { prepare_output_dir(scratch / "out", true); }),
              StartsWith((scratch / "out").string() + ": the output folder "));
  EXPECT_EQ(message_of<IoError>([&] { prepare_output_dir(scratch / "out/deeper", true); }),
            (scratch / "out/deeper").string() +
                ": the output folder cannot be made: Not a directory; choose another output.dir");
}

TEST(OutputDir, FolderWhereAResultShouldBe) {
  const ScratchDir scratch;
  fs::create_directory(scratch / "run.json");
  EXPECT_THAT(message_of<IoError>([&] { prepare_output_dir(scratch.path(), true); }),
              EndsWith("run.json: is a folder; results go into a file of that name"));
}

// A file system that takes folders for granted and lets nobody write, root included.
TEST(OutputDir, UnwritableFolderIsFoundOutBeforeAnyWork) {
  if (!fs::is_directory("/proc/self/fd")) GTEST_SKIP() << "needs procfs";
  EXPECT_THAT(message_of<IoError>([&] { prepare_output_dir("/proc/self/fd", true); }),
              ::testing::AllOf(StartsWith("/proc/self/fd"), HasSubstr("cannot be written: ")));
}

TEST(AtomicFile, ReplacesWholeAndLeavesNothingBeside) {
  const ScratchDir scratch;
  write_file_atomically(scratch / "f", "one");
  write_file_atomically(scratch / "f", std::string(100'000, 'x'));
  EXPECT_EQ(read_text(scratch / "f"), std::string(100'000, 'x'));
  EXPECT_EQ(entries(scratch.path()), 1U);
}

TEST(AtomicFile, FailureLeavesNothingBehindAndNamesTheReason) {
  const ScratchDir scratch;
  fs::create_directories(scratch / "f/in the way");
  EXPECT_EQ(message_of<IoError>([&] { write_file_atomically(scratch / "f", "x"); }),
            (scratch / "f").string() + ": cannot be written: Is a directory");
  EXPECT_EQ(entries(scratch.path()), 1U);
  EXPECT_EQ(message_of<IoError>([&] { write_file_atomically(scratch / "no/f", "x"); }),
            (scratch / "no/f").string() + ": cannot be written: No such file or directory");
}

TEST(Verdict, IsOneLineAndOneFile) {
  const ScratchDir scratch;
  const VerdictRecord verdict{ExitCode::kRankLost, 1, "node-b", "rank 1 on node-b died",
                              "2025-01-02T03:04:05Z"};
  EXPECT_EQ(verdict_line(verdict), "varve: rank 1 on node-b died (exit code 5)");
  write_verdict(scratch / "verdict.json", verdict);
  EXPECT_EQ(read_text(scratch / "verdict.json"),
            "{\n  \"verdict\": \"rank 1 on node-b died\",\n  \"exit_code\": 5,\n  \"rank\": 1,\n"
            "  \"host\": \"node-b\",\n  \"time\": \"2025-01-02T03:04:05Z\"\n}\n");
}

TEST(Verdict, AboutNoRankInParticular) {
  const ScratchDir scratch;
  write_verdict(scratch / "v", {ExitCode::kInterrupted, -1, "", "interrupted", "t"});
  EXPECT_THAT(read_text(scratch / "v"),
              ::testing::AllOf(HasSubstr("\"rank\": null"), HasSubstr("\"host\": null")));
}

}  // namespace
}  // namespace varve
