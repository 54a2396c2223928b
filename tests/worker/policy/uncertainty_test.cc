#include "worker/policy/uncertainty.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

#include "tests/worker/policy/layer_scene.h"

namespace varve {
namespace {

using test::LayerScene;

// The same by sorting.
std::size_t sorted_count(std::vector<float> p, double share) {
  std::sort(p.begin(), p.end(), std::greater<>());
  double total = 0;
  for (const float x : p) total += double{x};
  double sum = 0;
  std::size_t count = 0;
  while (count < p.size() && sum < share * total * (1 - 1e-9)) sum += double{p[count++]};
  return count;
}

TEST(CountToMass, OfEqualPartsIsTheirShare) {
  for (const std::size_t n : {1, 2, 7, 10, 1000, 300007}) {
    for (const double share : {0.9, 0.5, 1.0}) {
      const std::vector<float> p(n, 1 / static_cast<float>(n));
      EXPECT_EQ(count_to_mass(p, share),
                static_cast<std::size_t>(std::ceil(share * static_cast<double>(n) - 1e-6)))
          << share << " of " << n;
    }
  }
}

TEST(CountToMass, OfOneIsOne) {
  std::vector<float> p(1000);
  p[371] = 1;
  EXPECT_EQ(count_to_mass(p, 0.9), 1U);
  EXPECT_EQ(count_to_mass(p, 1), 1U);
}

TEST(CountToMass, NothingTakesNoRows) {
  EXPECT_EQ(count_to_mass(std::vector<float>(9), 0.9), 0U);
  EXPECT_EQ(count_to_mass({}, 0.9), 0U);
  EXPECT_EQ(count_to_mass(std::vector<float>(9, 1.0F), 0), 0U);
}

// Whatever the order, and of their sum, which need not be 1.
TEST(CountToMass, CountsFromTheLargest) {
  EXPECT_EQ(count_to_mass(std::vector{0.01F, 0.11F, 0.5F, 0.08F, 0.3F}, 0.9), 3U);
  EXPECT_EQ(count_to_mass(std::vector{2.0F, 22.0F, 100.0F, 16.0F, 60.0F}, 0.9), 3U);
  EXPECT_EQ(count_to_mass(std::vector{0.01F, 0.11F, 0.5F, 0.08F, 0.3F}, 0.92), 4U);
}

TEST(CountToMass, AsIfAllWereSorted) {
  test::Random random(17);
  for (const std::size_t n : {1, 5, 100, 3000}) {
    for (const double power : {0.0, 1.0, 8.0, 60.0}) {
      std::vector<float> p(n);
      for (float& x : p) {
        x = static_cast<float>(std::pow(std::abs(double{random.real()}), power) * 1e-3);
      }
      for (const double share : {0.01, 0.5, 0.9, 0.99, 1.0}) {
        EXPECT_EQ(count_to_mass(p, share), sorted_count(p, share))
            << share << " of " << n << ", power " << power;
      }
    }
  }
}

PolicyConfig by_uncertainty(const Component& scorer, double skip = 0) {
  PolicyConfig policy = test::policy_with(scorer);
  policy.allocation = make_component("uncertainty", {{"skip", skip}});
  return policy;
}

float uncertainty_of(const LayerScene& scene, const PolicyConfig& policy,
                     const std::vector<std::size_t>& cuts = {}) {
  const Observed observed = scene.observe(document_needs(policy), 0, 64, cuts);
  const auto segments = scene.segments(scene.rows(), cuts);
  return uncertainty(scene.layer_rows(segments, &observed), policy);
}

// From the definition, in double.
double direct(const LayerScene& scene, std::size_t window, std::size_t skip) {
  double sum = 0;
  for (std::size_t h = 0; h < scene.q_heads(); ++h) {
    std::vector<float> mean;
    for (std::size_t j = skip; j < scene.rows(); ++j) {
      double p = 0;
      for (std::size_t i = scene.rows() - window; i < scene.rows(); ++i) {
        p += scene.probability(h, i, j);
      }
      mean.push_back(static_cast<float>(p / static_cast<double>(window)));
    }
    sum += static_cast<double>(sorted_count(mean, 0.9));
  }
  return sum / static_cast<double>(scene.q_heads());
}

// The window's own rows count like all others, and no pooling blurs what is counted.
TEST(Uncertainty, MatchesTheDefinition) {
  const auto ops = make_ops("auto", 2);
  const LayerScene scene(*ops, {});
  for (const double window : {1.0, 7.0, 40.0}) {
    const PolicyConfig policy =
        by_uncertainty(make_component("window", {{"window", window}, {"kernel", 7}}));
    EXPECT_FLOAT_EQ(uncertainty_of(scene, policy),
                    static_cast<float>(direct(scene, static_cast<std::size_t>(window), 0)));
  }
}

TEST(Uncertainty, OtherScorersBringTheirOwnWindow) {
  const auto ops = make_ops("auto", 2);
  const LayerScene scene(*ops, {});
  EXPECT_FLOAT_EQ(uncertainty_of(scene, by_uncertainty(make_component("key_norm"))),
                  static_cast<float>(direct(scene, kUncertaintyWindow, 0)));
}

TEST(Uncertainty, SkippedRowsAreNeitherRowsNorMass) {
  const auto ops = make_ops("auto", 2);
  LayerScene scene(*ops, {.group = 1});
  scene.plant(2, 4);
  const Component one = make_component("window", {{"window", 1}});
  const float with = uncertainty_of(scene, by_uncertainty(one));
  const float without = uncertainty_of(scene, by_uncertainty(one, 4));
  EXPECT_FLOAT_EQ(with, static_cast<float>(direct(scene, 1, 0)));
  EXPECT_FLOAT_EQ(without, static_cast<float>(direct(scene, 1, 4)));
  EXPECT_LT(with, without / 2);
  EXPECT_EQ(uncertainty_of(scene, by_uncertainty(one, 1000)), 0);
}

TEST(Uncertainty, AttentionToAllRowsAlikeNeedsNineTenthsOfThem) {
  const auto ops = make_ops("auto", 2);
  LayerScene scene(*ops, {.rows = 57});
  for (std::size_t row = 0; row < scene.rows(); ++row) scene.plant(row, 0);
  EXPECT_EQ(uncertainty_of(scene, by_uncertainty(make_component("window", {{"window", 1}}))),
            std::ceil(0.9 * 57));
}

TEST(Uncertainty, AttentionToOneRowNeedsOne) {
  const auto ops = make_ops("auto", 2);
  // One query head for each key head, so that it is the query itself that was planted.
  LayerScene scene(*ops, {.group = 1});
  scene.plant(31, 50);
  EXPECT_EQ(uncertainty_of(scene, by_uncertainty(make_component("window", {{"window", 1}}))), 1);
}

TEST(Uncertainty, DoesNotDependOnSegments) {
  const auto ops = make_ops("auto", 2);
  const LayerScene scene(*ops, {});
  const PolicyConfig policy = by_uncertainty(make_component("window"));
  const float whole = uncertainty_of(scene, policy);
  EXPECT_EQ(uncertainty_of(scene, policy, {1}), whole);
  EXPECT_EQ(uncertainty_of(scene, policy, {50, 51, 140}), whole);
}

TEST(Uncertainty, WantsAnObservedQuery) {
  const auto ops = make_ops("auto", 1);
  const LayerScene scene(*ops, {});
  const auto segments = scene.segments(scene.rows(), {});
  const PolicyConfig policy = by_uncertainty(make_component("window"));
  EXPECT_THROW(uncertainty(scene.layer_rows(segments, nullptr), policy), std::logic_error);
  const Observed nothing(scene.model(), document_needs(policy), scene.rows(), 0, *ops);
  EXPECT_THROW(uncertainty(scene.layer_rows(segments, &nothing), policy), std::logic_error);
}

}  // namespace
}  // namespace varve
