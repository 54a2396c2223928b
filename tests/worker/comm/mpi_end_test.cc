// How a job of two processes ends when one of them goes wrong, seen from the launcher's caller.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace varve {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

struct Ended {
  int code = -1;
  std::string output;
};

Ended run(const std::string& mode) {
  const std::string command =
      std::string(VARVE_MPI_LAUNCH " 2 " VARVE_MPI_RANKS " ") + mode + " 2>&1";
  Ended ended;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> chunk{};
  while (const std::size_t n = std::fread(chunk.data(), 1, chunk.size(), pipe)) {
    ended.output.append(chunk.data(), n);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  return ended;
}

TEST(MpiEnd, HardAbortEndsEveryRankWithItsCode) {
  for (const char* mode : {"abort", "abort_from_thread"}) {
    const Ended ended = run(mode);
    EXPECT_EQ(ended.code, 5) << mode << ": " << ended.output;
  }
}

TEST(MpiEnd, ARankThatDoesNotFinishIsNotWaitedForLong) {
  const Ended ended = run("finish");
  EXPECT_EQ(ended.code, 5) << ended.output;
  EXPECT_THAT(ended.output,
              ContainsRegex("\\[rank 0 waited 3[0-9]+ ms for the other ranks to finish\\]"));
  EXPECT_THAT(ended.output,
              HasSubstr("[MPI is not used any more in this process: rank 0 waited 3"));
}

TEST(MpiEnd, ARankThatIsKilledRunsIntoTheDeadlineOfItsPeer) {
  const Ended ended = run("kill");
  EXPECT_THAT(ended.output,
              ContainsRegex("\\[rank 0 waited 3[0-9]+ ms for rank 1: a token \\(kTokens\\)\\]"));
  EXPECT_GT(ended.code, 0) << ended.output;  // which one is the launcher's: docs/mpi-failures.md
}

TEST(MpiEnd, ASendThatIsLeftEndsTheUseOfMpi) {
  const Ended ended = run("send");
  EXPECT_EQ(ended.code, 5) << ended.output;
  EXPECT_THAT(ended.output,
              HasSubstr("ms for rank 1 to take: step 1 (kActivations, 5242880 bytes)]"));
  EXPECT_THAT(ended.output,
              HasSubstr("[MPI is not used any more in this process: rank 0 ended its communicator "
                        "with 1 unfinished sends]"));
}

}  // namespace
}  // namespace varve
