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

TEST(Cores, AllowedAreThoseThatCount) {
  EXPECT_EQ(allowed_cores().size(), usable_cores());
  on_one_core([] { EXPECT_EQ(allowed_cores().size(), 1U); });
}

using Cpus = std::vector<std::uint32_t>;

// By local rank.
std::vector<Cpus> pins(const std::vector<RankDemand>& ranks) {
  std::vector<Cpus> all;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    all.push_back(cores_to_pin(ranks, rank));
  }
  return all;
}

TEST(CoresToPin, RanksShareOutWhatAllOfThemMayUse) {
  const Cpus odd{1, 3, 5, 7, 9};
  EXPECT_EQ(pins({{5, odd}}), (std::vector<Cpus>{odd}));
  EXPECT_EQ(pins({{2, odd}, {3, odd}}), (std::vector<Cpus>{{1, 3}, {5, 7, 9}}));
  EXPECT_EQ(pins({{1, odd}, {3, odd}, {1, odd}}), (std::vector<Cpus>{{1}, {3, 5, 7}, {9}}));
}

TEST(CoresToPin, NoneWhereThreadsWouldTakeTurns) {
  EXPECT_EQ(pins({{3, {0, 1}}}), std::vector<Cpus>(1));
  EXPECT_EQ(pins({{2, {0, 1, 2}}, {2, {0, 1, 2}}}), std::vector<Cpus>(2));
  EXPECT_EQ(pins({{2, {0}}, {2, {1}}}), std::vector<Cpus>(2)) << "bound to one core each";
}

TEST(CoresToPin, NoneWhereCoresWouldBeLeft) {
  EXPECT_EQ(pins({{1, {0, 1}}}), std::vector<Cpus>(1));
  EXPECT_EQ(pins({{2, {0, 1, 2, 3, 4}}, {2, {0, 1, 2, 3, 4}}}), std::vector<Cpus>(2));
}

TEST(CoresToPin, ALaunchersOwnSetsAreKept) {
  EXPECT_EQ(pins({{2, {0, 1}}, {2, {3, 4}}}), (std::vector<Cpus>{{0, 1}, {3, 4}}));
  EXPECT_EQ(pins({{2, {0, 1}}, {2, {2}}}), (std::vector<Cpus>{{0, 1}, {}})) << "each for itself";
  // Two ranks bound to each of two sockets.
  EXPECT_EQ(pins({{1, {0, 1}}, {1, {2, 3}}, {1, {0, 1}}, {1, {2, 3}}}),
            (std::vector<Cpus>{{0}, {2}, {1}, {3}}));
}

TEST(CoresToPin, NoneWhereSetsOverlap) {
  EXPECT_EQ(pins({{2, {0, 1, 2}}, {1, {2, 3}}, {1, {4}}}), (std::vector<Cpus>{{}, {}, {4}}));
}

TEST(CoresToPin, NoneWhereTheSystemDoesNotTell) {
  EXPECT_EQ(pins({{1, {}}, {2, {}}}), std::vector<Cpus>(2));
}

}  // namespace
}  // namespace varve
