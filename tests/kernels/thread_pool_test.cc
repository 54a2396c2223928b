#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "common/cores.h"

namespace varve {
namespace {

class ThreadPoolTest : public testing::TestWithParam<std::size_t> {};

TEST_P(ThreadPoolTest, NoTwoPiecesShareAThread) {
  ThreadPool pool(GetParam());
  ASSERT_EQ(pool.size(), GetParam());
  std::vector<int> sums(pool.size());  // unguarded: the thread sanitizer would see a second writer
  for (int round = 0; round < 200; ++round) {
    pool.each(10, [&](std::size_t, std::size_t thread) { ++sums[thread]; });
  }
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0), 2000);
}

TEST_P(ThreadPoolTest, SplitCoversEveryIndexOnce) {
  ThreadPool pool(GetParam());
  for (const std::size_t count : {0, 1, 2, 3, 7, 100}) {
    std::vector<int> hits(count);
    pool.split(count, [&](std::size_t begin, std::size_t end, std::size_t thread) {
      ASSERT_LT(thread, pool.size());
      for (std::size_t i = begin; i < end; ++i) ++hits[i];
    });
    EXPECT_EQ(hits, std::vector<int>(count, 1));
  }
}

TEST_P(ThreadPoolTest, EachCoversEveryIndexOnce) {
  ThreadPool pool(GetParam());
  for (const std::size_t count : {0, 1, 5, 1000}) {
    std::vector<int> hits(count);
    pool.each(count, [&](std::size_t index, std::size_t) { ++hits[index]; });
    EXPECT_EQ(hits, std::vector<int>(count, 1));
  }
}

// A piece that waits for another one ends only if threads that had gone to sleep come to help.
TEST_P(ThreadPoolTest, WakesThreadsThatFellAsleep) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<std::size_t> arrived{0};
    pool.each(pool.size(), [&](std::size_t, std::size_t) {
      arrived.fetch_add(1);
      while (arrived.load() < pool.size()) std::this_thread::yield();
    });
    EXPECT_EQ(arrived.load(), pool.size());
  }
}

TEST_P(ThreadPoolTest, ResultsAreVisibleToTheCaller) {
  ThreadPool pool(GetParam());
  std::vector<std::size_t> squares(257);
  for (std::size_t round = 1; round < 300; ++round) {
    pool.each(squares.size(), [&](std::size_t i, std::size_t) { squares[i] = i * i + round; });
    ASSERT_EQ(squares[256], 256 * 256 + round);
    ASSERT_EQ(squares[1], 1 + round);
  }
}

// The cores that each thread of the pool may run on, by thread. Every thread takes one piece.
std::vector<std::vector<std::uint32_t>> cores_of_threads(ThreadPool& pool) {
  std::vector<std::vector<std::uint32_t>> cores(pool.size());
  std::atomic<std::size_t> arrived{0};
  pool.each(pool.size(), [&](std::size_t, std::size_t thread) {
    cores[thread] = allowed_cores();
    arrived.fetch_add(1);
    while (arrived.load() < pool.size()) std::this_thread::yield();
  });
  return cores;
}

TEST(PinnedThreadPool, EveryThreadKeepsItsCoreUntilTheEnd) {
  const std::vector<std::uint32_t> before = allowed_cores();
  if (before.size() < 2) GTEST_SKIP() << "one core";
  {
    const std::vector<std::uint32_t> cores{before[1], before[0]};
    ThreadPool pool(2, cores);
    EXPECT_EQ(cores_of_threads(pool),
              (std::vector<std::vector<std::uint32_t>>{{before[1]}, {before[0]}}));
  }
  EXPECT_EQ(allowed_cores(), before);
}

TEST(PinnedThreadPool, WithoutCoresNothingChanges) {
  const std::vector<std::uint32_t> before = allowed_cores();
  ThreadPool pool(3);
  EXPECT_EQ(cores_of_threads(pool), std::vector(3, before));
}

TEST(PinnedThreadPool, ACoreThatIsRefusedPinsNone) {
  const std::vector<std::uint32_t> before = allowed_cores();
  // One that a machine of this size has not, and one that no set of cores has room for.
  const auto absent = static_cast<std::uint32_t>(sysconf(_SC_NPROCESSORS_CONF));
  for (const std::uint32_t wrong : {absent, std::uint32_t{1'000'000}}) {
    for (const bool callers : {false, true}) {
      std::vector<std::uint32_t> cores(3, before.front());
      cores[callers ? 0 : 2] = wrong;
      ThreadPool pool(3, cores);
      EXPECT_EQ(cores_of_threads(pool), std::vector(3, before)) << wrong;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolTest, testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace varve
