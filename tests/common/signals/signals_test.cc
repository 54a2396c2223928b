#include "common/signals.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <vector>

namespace varve {
namespace {

class Seen {
 public:
  void add(int signal, int count) {
    const std::lock_guard lock(mutex_);
    seen_.emplace_back(signal, count);
    changed_.notify_all();
  }
  bool wait_for(int signal, int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
      return !seen_.empty() && seen_.back() == std::pair(signal, count);
    });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<int, int>> seen_;
};

bool blocked_here(int signal) {
  sigset_t set;
  pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

TEST(SignalWatch, CountsEachKind) {
  Seen seen;
  SignalWatch watch([&](int signal, int count) { seen.add(signal, count); });
  kill(getpid(), SIGTERM);
  EXPECT_TRUE(seen.wait_for(SIGTERM, 1));
  kill(getpid(), SIGINT);
  EXPECT_TRUE(seen.wait_for(SIGINT, 1));
  kill(getpid(), SIGINT);
  EXPECT_TRUE(seen.wait_for(SIGINT, 2));
}

TEST(SignalWatch, SeesSignalsThatHitAThread) {
  Seen seen;
  SignalWatch watch([&](int signal, int count) { seen.add(signal, count); });
  std::thread other([] {
    EXPECT_TRUE(blocked_here(SIGTERM));
    kill(getpid(), SIGTERM);
  });
  EXPECT_TRUE(seen.wait_for(SIGTERM, 1));
  other.join();
}

TEST(SignalWatch, RestoresTheMask) {
  EXPECT_FALSE(blocked_here(SIGINT));
  {
    SignalWatch watch([](int, int) {});
    EXPECT_TRUE(blocked_here(SIGINT));
    EXPECT_TRUE(blocked_here(SIGTERM));
    EXPECT_FALSE(blocked_here(SIGUSR1));
  }
  EXPECT_FALSE(blocked_here(SIGINT));
  EXPECT_FALSE(blocked_here(SIGTERM));
}

TEST(SignalWatch, EndsWithoutASignal) {
  for (int i = 0; i < 20; ++i) SignalWatch watch([](int, int) { FAIL(); });
}

}  // namespace
}  // namespace varve
