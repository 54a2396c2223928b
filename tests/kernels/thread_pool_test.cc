#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>
#include <vector>

namespace varve {
namespace {

class ThreadPoolTest : public testing::TestWithParam<std::size_t> {};

TEST_P(ThreadPoolTest, RunsEveryThreadOnce) {
  ThreadPool pool(GetParam());
  ASSERT_EQ(pool.size(), GetParam());
  std::vector<int> runs(pool.size());
  for (int round = 0; round < 200; ++round) {
    pool.run([&](std::size_t thread) { ++runs[thread]; });
  }
  EXPECT_EQ(runs, std::vector<int>(pool.size(), 200));
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

TEST_P(ThreadPoolTest, WakesThreadsThatFellAsleep) {
  ThreadPool pool(GetParam());
  std::vector<int> runs(pool.size());
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    pool.run([&](std::size_t thread) { ++runs[thread]; });
  }
  EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), 0), 3 * static_cast<int>(pool.size()));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadPoolTest, testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace varve
