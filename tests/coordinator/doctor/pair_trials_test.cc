#include "coordinator/doctor/pair_trials.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/spawn.h"

namespace varve {
namespace {

using namespace std::chrono_literals;

constexpr Waiting kSoon{30s, "a trial of the test"};

TEST(RoundsOf, EveryPairMeetsOnceAndNobodyTwoAtATime) {
  for (int ranks = 1; ranks <= 9; ++ranks) {
    std::set<std::pair<int, int>> met;
    for (const auto& round : rounds_of(ranks)) {
      std::set<int> busy;
      for (const auto& [low, high] : round) {
        EXPECT_LT(low, high);
        EXPECT_TRUE(busy.insert(low).second && busy.insert(high).second) << ranks;
        EXPECT_TRUE(met.emplace(low, high).second) << ranks << ": " << low << " " << high;
      }
    }
    EXPECT_EQ(met.size(), static_cast<std::size_t>(ranks * (ranks - 1) / 2)) << ranks;
  }
}

std::vector<PairTrial> trials_of(int ranks, const std::function<Exchange(Communicator&)>& make) {
  std::vector<PairTrial> all;
  spawn(ranks, [&](Communicator& comm) {
    std::vector<PairTrial> found = try_pairs(comm, make(comm), kSoon);
    if (comm.rank() == 0) {
      all = std::move(found);
    } else {
      EXPECT_TRUE(found.empty());
    }
  });
  return all;
}

TEST(TryPairs, TimesAllPairsInOrder) {
  std::vector<std::vector<std::byte>> memory(3, std::vector<std::byte>(kTrialBytes));
  const auto trials = trials_of(3, [&](Communicator& comm) -> Exchange {
    return [&](int peer) {
      return exchange_messages(comm, memory[static_cast<std::size_t>(comm.rank())], peer, kSoon);
    };
  });
  ASSERT_EQ(trials.size(), 3U);
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs = {{0, 1}, {0, 2}, {1, 2}};
  for (std::size_t i = 0; i < trials.size(); ++i) {
    EXPECT_EQ(std::pair(trials[i].low, trials[i].high), pairs[i]);
    EXPECT_GT(trials[i].seconds, 0);
    EXPECT_GT(trials[i].bytes_per_second, 0);
    EXPECT_EQ(trials[i].error, "");
  }
}

// One end sees the failure alone, and the others' trials are not lost.
TEST(TryPairs, AFailureIsOfItsPair) {
  const auto trials = trials_of(4, [](Communicator& comm) -> Exchange {
    return [&comm](int peer) {
      PairTrial trial;
      if (comm.rank() == 3 && peer == 1) trial.error = "the cable is out";
      trial.low = static_cast<std::uint32_t>(std::min(comm.rank(), peer));
      trial.high = static_cast<std::uint32_t>(std::max(comm.rank(), peer));
      return trial;
    };
  });
  ASSERT_EQ(trials.size(), 6U);
  for (const PairTrial& trial : trials) {
    EXPECT_EQ(trial.error, trial.low == 1 && trial.high == 3 ? "the cable is out" : "");
  }
}

}  // namespace
}  // namespace varve
