// The cuts against every cut there is, on models small enough.
#include "coordinator/plan/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "common/plan/layer_cut.h"

namespace varve {
namespace {

using Cut = std::vector<LayerRange>;

void extend(Cut& cut, std::size_t layers, std::size_t ranks, std::vector<Cut>& cuts) {
  const std::size_t begin = cut.empty() ? 0 : cut.back().end;
  if (ranks == 1) {
    cut.push_back({begin, layers});
    cuts.push_back(cut);
    cut.pop_back();
    return;
  }
  for (std::size_t end = begin + 1; end + ranks - 1 <= layers; ++end) {
    cut.push_back({begin, end});
    extend(cut, layers, ranks - 1, cuts);
    cut.pop_back();
  }
}

std::vector<Cut> all_cuts(std::size_t layers, std::size_t ranks) {
  Cut cut;
  std::vector<Cut> cuts;
  extend(cut, layers, ranks, cuts);
  return cuts;
}

double slowest(const PriceTable& prices, const Cut& cut) {
  double most = 0;
  for (const LayerRange& r : cut) most = std::max(most, prices.at(r).seconds);
  return most;
}

Cut even_split(std::size_t layers, std::size_t ranks) {
  Cut cut;
  for (std::size_t r = 0; r < ranks; ++r) {
    cut.push_back({r * layers / ranks, (r + 1) * layers / ranks});
  }
  return cut;
}

// Layers of random prices, and ends that cost extra, as embedding and head do.
PriceTable random_prices(std::size_t layers, std::mt19937& random) {
  std::vector<double> seconds(layers);
  std::vector<std::size_t> bytes(layers);
  for (double& s : seconds) s = 1 + static_cast<double>(random() % 4);
  for (std::size_t& b : bytes) b = 10 + random() % 40;
  const std::size_t first = random() % 60;
  const std::size_t last = random() % 60;
  const auto head = static_cast<double>(random() % 5);
  return PriceTable(layers, [=](LayerRange r) {
    StagePrice price;
    for (std::size_t l = r.begin; l < r.end; ++l) {
      price.seconds += seconds[l];
      price.bytes += bytes[l];
    }
    if (r.begin == 0) price.bytes += first;
    if (r.end == layers) {
      price.bytes += last;
      price.seconds += head;
    }
    return price;
  });
}

class Partition : public testing::TestWithParam<unsigned> {};

TEST_P(Partition, FastestIsAsFastAsTheBestOfAllThatFit) {
  std::mt19937 random(GetParam());
  const std::size_t layers = 1 + random() % 9;
  const PriceTable prices = random_prices(layers, random);
  for (std::size_t ranks = 1; ranks <= layers; ++ranks) {
    const std::size_t limit = 40 + random() % 300;
    double best = INFINITY;
    std::size_t best_bytes = 0;
    for (const Cut& cut : all_cuts(layers, ranks)) {
      const std::size_t bytes = largest_bytes(prices, cut);
      if (bytes > limit) continue;
      const double seconds = slowest(prices, cut);
      if (seconds < best || (seconds == best && bytes < best_bytes)) {
        best = seconds;
        best_bytes = bytes;
      }
    }
    const std::optional<Cut> cut = fastest_cut(prices, ranks, limit);
    ASSERT_EQ(cut.has_value(), best < INFINITY);
    if (!cut) continue;
    EXPECT_EQ(cut_problem(*cut, layers, ranks), "");
    EXPECT_EQ(slowest(prices, *cut), best);
    EXPECT_EQ(largest_bytes(prices, *cut), best_bytes);
  }
}

TEST_P(Partition, LeanestHoldsTheLeast) {
  std::mt19937 random(GetParam());
  const std::size_t layers = 1 + random() % 9;
  const PriceTable prices = random_prices(layers, random);
  for (std::size_t ranks = 1; ranks <= layers; ++ranks) {
    std::size_t least = SIZE_MAX;
    for (const Cut& cut : all_cuts(layers, ranks)) {
      least = std::min(least, largest_bytes(prices, cut));
    }
    const Cut cut = leanest_cut(prices, ranks);
    EXPECT_EQ(cut_problem(cut, layers, ranks), "");
    EXPECT_EQ(largest_bytes(prices, cut), least);
    // The limit that only the leanest keep is still kept, one byte less is not.
    EXPECT_TRUE(fastest_cut(prices, ranks, least));
    EXPECT_FALSE(fastest_cut(prices, ranks, least - 1));
  }
}

TEST_P(Partition, NeverSlowerThanTheEvenSplit) {
  std::mt19937 random(GetParam());
  const std::size_t layers = 1 + random() % 40;
  const PriceTable prices = random_prices(layers, random);
  for (std::size_t ranks = 1; ranks <= layers; ++ranks) {
    const std::optional<Cut> cut = fastest_cut(prices, ranks, std::nullopt);
    ASSERT_TRUE(cut);
    EXPECT_LE(slowest(prices, *cut), slowest(prices, even_split(layers, ranks)));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Partition, testing::Range(0U, 60U));

TEST(PartitionTies, TimesAreEvenWhereTheSlowestAllowsIt) {
  // Twelve equal layers on five ranks: the slowest has three whatever the rest do.
  const PriceTable prices(12, [](LayerRange r) {
    return StagePrice{static_cast<double>(r.count()), 1};
  });
  std::vector<std::size_t> counts;
  const Cut cut = fastest_cut(prices, 5, std::nullopt).value();
  for (const LayerRange& r : cut) counts.push_back(r.count());
  std::sort(counts.begin(), counts.end());
  EXPECT_EQ(counts, (std::vector<std::size_t>{2, 2, 2, 3, 3}));
}

}  // namespace
}  // namespace varve
