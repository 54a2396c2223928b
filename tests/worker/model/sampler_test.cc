#include "worker/model/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <vector>

namespace varve {
namespace {

Sampled sample(const std::vector<float>& logits, const SamplingParams& params,
               std::uint32_t position) {
  RowSummary summary;
  make_ops("reference", 1)
      ->summarize({logits.data(), 1, logits.size(), logits.size()}, {&summary, 1});
  return varve::sample(summary, logits, params, position);
}

// Draws one token per position and returns how often each came.
std::map<std::int32_t, int> histogram(const std::vector<float>& logits,
                                      const SamplingParams& params, int draws) {
  std::map<std::int32_t, int> counts;
  for (int i = 0; i < draws; ++i) {
    ++counts[sample(logits, params, static_cast<std::uint32_t>(i)).token];
  }
  return counts;
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdAmongEquals) {
  EXPECT_EQ(sample(std::vector<float>{1, 5, 5, 2}, {}, 0).token, 1);
  EXPECT_EQ(sample(std::vector<float>{-3}, {}, 0).token, 0);
}

TEST(Sampler, TheLogprobIsThatOfTheUnfilteredDistribution) {
  const std::vector<float> logits{0, std::log(2.0F), std::log(5.0F)};
  EXPECT_NEAR(sample(logits, {}, 0).logprob, std::log(5.0 / 8), 1e-6);
  SamplingParams hot{.temperature = 9, .top_k = 1};
  EXPECT_NEAR(sample(logits, hot, 0).logprob, std::log(5.0 / 8), 1e-6);
}

TEST(Sampler, FrequenciesFollowTheDistribution) {
  const std::vector<float> logits{std::log(1.0F), std::log(2.0F), std::log(5.0F)};
  constexpr int kDraws = 20000;
  const auto counts = histogram(logits, {.temperature = 1, .seed = 3}, kDraws);
  const std::vector<double> expected{1.0 / 8, 2.0 / 8, 5.0 / 8};
  for (int token = 0; token < 3; ++token) {
    const double p = expected[static_cast<std::size_t>(token)];
    // Five standard deviations of a binomial share.
    const double tolerance = 5 * std::sqrt(p * (1 - p) / kDraws);
    EXPECT_NEAR(counts.at(token) / static_cast<double>(kDraws), p, tolerance) << token;
  }
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  const std::vector<float> logits{0, 1};
  const auto share = [&](float t) {
    return histogram(logits, {.temperature = t, .seed = 1}, 20000)[1] / 20000.0;
  };
  EXPECT_NEAR(share(0.5F), 1 / (1 + std::exp(-2.0)), 0.02);
  EXPECT_NEAR(share(2.0F), 1 / (1 + std::exp(-0.5)), 0.02);
}

TEST(Sampler, TopKKeepsTheLikeliestK) {
  const std::vector<float> logits{1, 4, 2, 3};
  const auto counts = histogram(logits, {.temperature = 5, .top_k = 2, .seed = 1}, 2000);
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_TRUE(counts.contains(1) && counts.contains(3));
}

TEST(Sampler, TopPKeepsTheSmallestHeadThatHoldsTheMass) {
  // Probabilities 0.5, 0.3, 0.2.
  const std::vector<float> logits{std::log(0.3F), std::log(0.5F), std::log(0.2F)};
  EXPECT_EQ(histogram(logits, {.temperature = 1, .top_p = 0.45F, .seed = 1}, 2000).size(), 1U);
  EXPECT_EQ(histogram(logits, {.temperature = 1, .top_p = 0.7F, .seed = 1}, 2000).size(), 2U);
  EXPECT_EQ(histogram(logits, {.temperature = 1, .top_p = 0.9F, .seed = 1}, 2000).size(), 3U);
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  const std::vector<float> logits{std::log(0.1F), std::log(0.6F), std::log(0.3F)};
  EXPECT_EQ(histogram(logits, {.temperature = 1, .min_p = 0.4F, .seed = 1}, 2000).size(), 2U);
  EXPECT_EQ(histogram(logits, {.temperature = 1, .min_p = 1.0F, .seed = 1}, 2000).size(), 1U);
}

TEST(Sampler, ADrawDependsOnSeedStreamAndPositionAlone) {
  const std::vector<float> logits(100, 0.0F);
  SamplingParams params{.temperature = 1, .seed = 42, .stream = 7};
  const auto tokens = [&](SamplingParams p) {
    std::vector<std::int32_t> all;
    for (std::uint32_t at = 0; at < 50; ++at) all.push_back(sample(logits, p, at).token);
    return all;
  };
  const auto first = tokens(params);
  EXPECT_EQ(tokens(params), first);
  SamplingParams other = params;
  other.seed = 43;
  EXPECT_NE(tokens(other), first);
  other = params;
  other.stream = 8;
  EXPECT_NE(tokens(other), first);
}

TEST(Sampler, UniformDrawsFillTheUnitInterval) {
  double sum = 0;
  double least = 1;
  double most = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const double u = uniform_draw(1, 2, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    least = std::min(least, u);
    most = std::max(most, u);
  }
  EXPECT_NEAR(sum / 10000, 0.5, 5 * 0.2887 / 100);  // five standard errors of a uniform mean
  EXPECT_LT(least, 0.01);
  EXPECT_GT(most, 0.99);
}

}  // namespace
}  // namespace varve
