// Results that cannot be written, through the program: never lost in silence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>

#include "common/io/regular_file.h"
#include "tests/cli/job_folder.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;

class BadOutput : public JobFolder {
 protected:
  /// A run that began and then failed with `report`, said once.
  static void expect_failure(const Ended& ended, const std::string& report) {
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(ended.err, HasSubstr("varve: rank 0 on "));
    EXPECT_THAT(ended.err, EndsWith(" failed: " + report + " (exit code 2)\n"));
    EXPECT_EQ(ended.err.find("varve: "), ended.err.rfind("varve: "));
  }
};

TEST_F(BadOutput, AFolderThatCannotBe) {
  write("file", "x");
  fs::create_directories(folder_ / "taken/run.json");
  const auto report = [&](const std::string& dir) {
    const Ended ended = run("run", "--output " + dir);
    EXPECT_EQ(ended.code, 2);
    return ended.err;
  };
  EXPECT_EQ(report("/proc/no"),
            "varve: /proc/no: the output folder cannot be made: No such file or directory; choose "
            "another output.dir\n");
  EXPECT_EQ(report(path("file")),
            "varve: file: the output folder cannot be made: Not a directory; choose another "
            "output.dir\n");
  EXPECT_EQ(report(path("file/below")),
            "varve: file/below: the output folder cannot be made: Not a directory; choose another "
            "output.dir\n");
  EXPECT_EQ(report(path("taken")),
            "varve: taken/run.json: is a folder; results go into a file of that name\n");
}

TEST_F(BadOutput, ResultsThatMayNotBeReplaced) {
  EXPECT_EQ(run("run", "--set sampling.max_tokens=2").code, 0);
  const std::string before = read_text_file(path("out/results.jsonl"), 1 << 20);
  const Ended ended = run("run", "--set output.overwrite=false");
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.err,
            "varve: out/results.jsonl: is there from an earlier run; choose another output.dir, or "
            "set output.overwrite: true\n");
  EXPECT_EQ(read_text_file(path("out/results.jsonl"), 1 << 20), before);
}

TEST_F(BadOutput, ADiskThatIsFullWhenAnswersCome) {
  fs::create_directory(folder_ / "out");
  fs::create_symlink("/dev/full", folder_ / "out/results.jsonl");
  for (const char* ranks : {"--ranks 1", "--ranks 2"}) {
    expect_failure(run("run", ranks),
                   "out/results.jsonl: cannot be written: No space left on device");
  }
}

// Limits of 512 bytes a unit, which hold for standard error too. Without the signal, which would
// end the process, a write past them fails.
TEST_F(BadOutput, ResultsThatGrowPastALimit) {
  std::string questions;
  for (int i = 0; i < 40; ++i) questions += "Why?\n";
  write("q.txt", questions);
  expect_failure(
      run("run", "--set 'questions={file: " + path("q.txt") + "}'", "trap '' XFSZ; ulimit -f 8;"),
      "out/results.jsonl: cannot be written: File too large");
}

TEST_F(BadOutput, AReportThatGrowsPastALimit) {
  expect_failure(run("run", "--set sampling.max_tokens=1", "trap '' XFSZ; ulimit -f 3;"),
                 "out/run.json: cannot be written: File too large");
  EXPECT_FALSE(fs::exists(path("out/run.json")));
}

TEST_F(BadOutput, AFullFileSystem) {
  fs::create_directory(folder_ / "disk");
  if (::mount("none", path("disk").c_str(), "tmpfs", 0, "size=4k") != 0) {
    GTEST_SKIP() << "mounting takes root's rights";
  }
  write("disk/filler", std::string(4096, 'x'));
  const Ended ended = run("run", "--output " + path("disk"));
  ::umount2(path("disk").c_str(), MNT_DETACH);
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(
      ended.err,
      "varve: disk: nothing can be written into the output folder; choose another output.dir, "
      "or make room (disk/.varve-probe: cannot be written: No space left on device)\n");
}

TEST_F(BadOutput, StandardOutputThatIsFull) {
  for (const char* verb : {"validate", "plan", "run"}) {
    const Ended ended = run(verb, ">/dev/full");
    EXPECT_EQ(ended.code, 2) << verb;
    EXPECT_THAT(ended.err, EndsWith("varve: standard output cannot be written\n")) << verb;
  }
}

}  // namespace
}  // namespace varve
