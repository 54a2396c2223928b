#include "common/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <functional>
#include <thread>

namespace varve {
namespace {

// In a thread of its own, whose cores end with it.
void on_one_core(const std::function<void()>& body) {
  std::thread([&] {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (std::size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
      if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    body();
  }).join();
}

TEST(Cores, AreSharedEvenly) {
  const std::size_t cores = machine_cores();
  EXPECT_GE(cores, 1U);
  EXPECT_LE(cores_of_a_rank(1), cores);
  EXPECT_LE(cores_of_a_rank(2), std::max<std::size_t>(cores / 2, 1));
  EXPECT_EQ(cores_of_a_rank(2 * cores), 1U) << "never none";
  EXPECT_EQ(cores_of_a_rank(0), cores_of_a_rank(1));
}

TEST(Cores, AreNoMoreThanTheLauncherLeft) {
  on_one_core([] {
    EXPECT_EQ(usable_cores(), 1U);
    EXPECT_EQ(cores_of_a_rank(1), 1U);
  });
}

}  // namespace
}  // namespace varve
