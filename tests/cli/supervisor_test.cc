// A rank as the child of its supervisor. Each case forks a process that stands for what a launcher
// starts, because Supervisor::run blocks signals and forks; that process notes what it says.
#include "coordinator/cli/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <new>
#include <sstream>
#include <thread>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::MatchesRegex;

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    void* memory =
        mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    seen_ = new (memory) Seen;
    options_ = {.name = "rank 2 on node-b",
                .stop_limit = 300ms,
                .verdict_limit = 400ms,
                .start_verdict_limit = 200ms,
                .end_verdict_limit = 300ms,
                .say = [this](const std::string& line) {
                  std::ofstream(folder_.path() / "said", std::ios::app) << line << "\n";
                }};
  }
  ~SupervisorTest() override {
    if (parent_ > 0) {
      kill(parent_, SIGKILL);
      waitpid(parent_, nullptr, 0);
    }
    munmap(seen_, sizeof(Seen));
  }

  // Starts parent and rank; `body` is the rank's life and gives its exit code.
  template <class Body>
  void start(Body body) {
    parent_ = fork();
    if (parent_ == 0) _exit(live(body));
    while (seen_->child == 0) std::this_thread::sleep_for(1ms);
  }
  // For the parent's end; its exit code, or 1000 + the signal.
  int wait() {
    int status = 0;
    waitpid(std::exchange(parent_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  std::string said() const {
    std::ifstream in(folder_.path() / "said");
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  bool child_is_gone() const {
    for (int i = 0; i < 2000; ++i) {
      if (kill(seen_->child, 0) != 0) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  static int sleep_long() {
    std::this_thread::sleep_for(60s);
    return 99;
  }
  static int crash(int signal) {
    std::signal(signal, SIG_DFL);  // a sanitizer would report it and exit
    raise(signal);
    return 99;
  }

  struct Seen {
    std::atomic<pid_t> child{0};
    std::atomic<int> got{0};
  };
  TempFolder folder_;
  Seen* seen_ = nullptr;
  Supervisor::Options options_;
  pid_t parent_ = -1;

 private:
  template <class Body>
  int live(Body body) {
    Supervisor supervisor(options_);
    if (const auto code = supervisor.run()) return *code;
    seen_->child = getpid();
    return body(supervisor);
  }
};

TEST_F(SupervisorTest, PassesTheCodeOn) {
  for (const int code : {0, 1, 2, 3, 5, 130}) {
    seen_->child = 0;
    start([&](Supervisor&) { return code; });
    EXPECT_EQ(wait(), code);
  }
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(SupervisorTest, AKilledRankIsFiveAndNamedIfNobodyElseEndsTheRun) {
  start([](Supervisor&) { return sleep_long(); });
  kill(seen_->child, SIGKILL);
  EXPECT_EQ(wait(), 5);
  EXPECT_EQ(
      said(),
      "varve: rank 2 on node-b was ended by signal 9 (SIGKILL) before it joined the run (exit "
      "code 5)\n");
}

TEST_F(SupervisorTest, SaysWhereInItsLifeTheRankWasLost) {
  start([](Supervisor& supervisor) {
    supervisor.set_watched();
    return crash(SIGKILL);
  });
  EXPECT_EQ(wait(), 5);
  EXPECT_EQ(said(), "varve: rank 2 on node-b was ended by signal 9 (SIGKILL) (exit code 5)\n");
  seen_->child = 0;
  start([](Supervisor& supervisor) {
    supervisor.set_leaving();
    return crash(SIGKILL);
  });
  EXPECT_EQ(wait(), 5);
  EXPECT_THAT(said(), testing::EndsWith("(SIGKILL) at the end of its run (exit code 5)\n"));
}

TEST_F(SupervisorTest, IsSilentIfTheLauncherEndsTheRunMeanwhile) {
  for (const int sign : {SIGCONT, SIGTERM}) {
    seen_->child = 0;
    start([](Supervisor& supervisor) {
      supervisor.set_watched();
      return sleep_long();
    });
    kill(seen_->child, SIGKILL);
    std::this_thread::sleep_for(50ms);
    kill(parent_, sign);
    EXPECT_EQ(wait(), 5);
  }
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(SupervisorTest, ACrashIsNamedThoughTheVerdictIsAnothers) {
  start([](Supervisor& supervisor) {
    supervisor.set_watched();
    std::this_thread::sleep_for(50ms);
    return crash(SIGSEGV);
  });
  while (said().empty()) std::this_thread::sleep_for(1ms);
  kill(parent_, SIGCONT);
  EXPECT_EQ(wait(), 5);
  EXPECT_THAT(said(), MatchesRegex("varve: rank 2 on node-b was ended by signal 11 \\(SIGSEGV\\)"
                                   "(, core dumped)?\n"));
}

TEST_F(SupervisorTest, ACrashBeforeTheRunIsNamedInTheVerdictToo) {
  start([](Supervisor&) { return crash(SIGSEGV); });
  EXPECT_EQ(wait(), 5);
  EXPECT_THAT(said(), MatchesRegex("varve: rank 2 on node-b was ended by signal 11 \\(SIGSEGV\\)"
                                   "(, core dumped)?\n"
                                   "varve: rank 2 on node-b was ended by signal 11 \\(SIGSEGV\\) "
                                   "before it joined the run \\(exit code 5\\)\n"));
}

TEST_F(SupervisorTest, AStoppedRankThatNobodyWatchesIsEnded) {
  start([](Supervisor&) { return sleep_long(); });
  kill(seen_->child, SIGSTOP);
  EXPECT_EQ(wait(), 5);
  EXPECT_THAT(said(), MatchesRegex("varve: rank 2 on node-b was stopped by signal 19 \\(SIGSTOP\\) "
                                   "for 0.3 s before it joined the run \\(exit code 5\\)\n"));
  EXPECT_TRUE(child_is_gone());
}

TEST_F(SupervisorTest, AStoppedRankThatIsWatchedIsLeftToItsWatchers) {
  start([](Supervisor& supervisor) {
    supervisor.set_watched();
    raise(SIGSTOP);
    return 7;
  });
  std::this_thread::sleep_for(options_.stop_limit + 200ms);
  EXPECT_EQ(waitpid(parent_, nullptr, WNOHANG), 0);
  kill(seen_->child, SIGCONT);
  EXPECT_EQ(wait(), 7);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(SupervisorTest, ABriefStopIsForgiven) {
  start([](Supervisor&) {
    for (int i = 0; i < 3; ++i) raise(SIGSTOP);
    return 7;
  });
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(150ms);
    kill(seen_->child, SIGCONT);
  }
  EXPECT_EQ(wait(), 7);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(SupervisorTest, ATerminationIsTheRanksToHandle) {
  static std::atomic<int>* got = nullptr;
  got = &seen_->got;
  start([this](Supervisor&) {
    std::signal(SIGTERM, [](int signal) { *got = signal; });
    seen_->child = getpid();
    while (seen_->got == 0) std::this_thread::sleep_for(1ms);
    return 143;
  });
  std::this_thread::sleep_for(50ms);
  kill(parent_, SIGTERM);  // to the parent alone
  EXPECT_EQ(wait(), 143);
  EXPECT_EQ(seen_->got, SIGTERM);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(SupervisorTest, ARankThatASignalAskedToEndIsNotLost) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    seen_->child = 0;
    start([](Supervisor&) { return sleep_long(); });
    kill(seen_->child, signal);
    EXPECT_EQ(wait(), 128 + signal);
  }
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(SupervisorTest, TheRankDoesNotOutliveItsParent) {
  start([](Supervisor&) { return sleep_long(); });
  kill(parent_, SIGKILL);
  EXPECT_EQ(wait(), 1000 + SIGKILL);
  EXPECT_TRUE(child_is_gone());
}

TEST_F(SupervisorTest, TheRankHasTheSignalsThatTheLauncherGaveIt) {
  start([](Supervisor&) {
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    return sigismember(&blocked, SIGTERM) + sigismember(&blocked, SIGCHLD);
  });
  EXPECT_EQ(wait(), 0);
}

}  // namespace
}  // namespace varve
