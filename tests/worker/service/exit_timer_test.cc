#include "worker/service/exit_timer.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <future>
#include <thread>

namespace varve {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kPatience{10};

TEST(ExitTimer, LeavesWithTheCodeAfterTheGrace) {
  std::promise<ExitCode> left;
  ExitTimer timer([&](ExitCode code) { left.set_value(code); });
  const auto since = std::chrono::steady_clock::now();
  timer.end_process_after(milliseconds(50), ExitCode::kRankLost);
  auto code = left.get_future();
  ASSERT_EQ(code.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(code.get(), ExitCode::kRankLost);
  EXPECT_GE(std::chrono::steady_clock::now() - since, milliseconds(50));
}

TEST(ExitTimer, DoesNothingIfMainLeavesInTime) {
  std::atomic<bool> left = false;
  {
    ExitTimer timer([&](ExitCode) { left = true; });
    timer.end_process_after(kPatience, ExitCode::kOther);
  }
  EXPECT_FALSE(left);
}

TEST(ExitTimer, DoesNothingUnasked) {
  ExitTimer timer([](ExitCode) { FAIL(); });
}

TEST(ExitTimer, EarliestEndCounts) {
  std::promise<ExitCode> left;
  ExitTimer timer([&](ExitCode code) { left.set_value(code); });
  timer.end_process_after(kPatience, ExitCode::kOther);
  timer.end_process_after(milliseconds(0), ExitCode::kInterrupted);
  timer.end_process_after(2 * kPatience, ExitCode::kUsage);
  auto code = left.get_future();
  ASSERT_EQ(code.wait_for(kPatience / 2), std::future_status::ready);
  EXPECT_EQ(code.get(), ExitCode::kInterrupted);
}

// One thread that does not block a signal is where it is delivered, and then it ends the process.
TEST(ExitTimerDeathTest, TakesNoSignalsThatAreBlockedLater) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const ExitTimer timer;
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        kill(getpid(), SIGTERM);
        int signal = 0;
        sigwait(&set, &signal);
        _exit(signal);
      },
      testing::ExitedWithCode(SIGTERM), "");
}

// The main thread is busy for ever here, and holds stdout, on which a flush would wait.
TEST(ExitTimerDeathTest, EndsAProcessWhoseMainThreadDoesNot) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        ExitTimer timer;
        flockfile(stdout);
        timer.end_process_after(milliseconds(20), ExitCode::kTerminated);
        for (;;) std::this_thread::sleep_for(milliseconds(10));
      },
      testing::ExitedWithCode(143), "");
}

}  // namespace
}  // namespace varve
