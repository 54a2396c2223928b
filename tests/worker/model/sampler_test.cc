#include "worker/model/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "common/split_mix.h"

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

// The whole distribution, sorted, and every cut made on the sorted list.
std::int32_t sample_by_sorting(const std::vector<float>& logits, const SamplingParams& p,
                               std::uint32_t position) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto logit = [&](std::int32_t id) { return logits[static_cast<std::size_t>(id)]; };
  std::stable_sort(ids.begin(), ids.end(),
                   [&](std::int32_t a, std::int32_t b) { return logit(a) > logit(b); });
  const auto weight = [&, top = logit(ids.front())](std::int32_t id) {
    return std::exp((static_cast<double>(logit(id)) - top) / p.temperature);
  };
  if (p.top_k > 0 && p.top_k < ids.size()) ids.resize(p.top_k);
  double total = 0;
  for (const std::int32_t id : ids) total += weight(id);
  double mass = 0;
  std::size_t keep = 0;
  while (keep < ids.size() && (keep == 0 || mass < p.top_p * total)) mass += weight(ids[keep++]);
  if (p.top_p < 1) ids.resize(keep);
  while (weight(ids.back()) < p.min_p) ids.pop_back();
  std::sort(ids.begin(), ids.end());
  total = 0;
  for (const std::int32_t id : ids) total += weight(id);
  double left = uniform_draw(p.seed, p.stream, position) * total;
  for (const std::int32_t id : ids) {
    left -= weight(id);
    if (left < 0) return id;
  }
  return ids.back();
}

TEST(Sampler, CutsGiveWhatSortingGives) {
  std::vector<float> logits(300);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    // Steps of 1/4, so that many are equal, also at the borders of the cuts.
    logits[i] = static_cast<float>(split_mix(i) % 24) / 4;
  }
  const SamplingParams cases[] = {
      {.temperature = 1},
      {.temperature = 1, .top_k = 7},
      {.temperature = 0.7F, .top_p = 0.5F},
      {.temperature = 1, .top_p = 0.9999999F},
      {.temperature = 2, .top_k = 1000, .top_p = 0.95F},
      {.temperature = 1, .min_p = 0.3F},
      {.temperature = 1.5F, .top_k = 40, .top_p = 0.8F, .min_p = 0.05F},
  };
  for (const SamplingParams& p : cases) {
    for (std::uint32_t at = 0; at < 200; ++at) {
      ASSERT_EQ(sample(logits, p, at).token, sample_by_sorting(logits, p, at))
          << "top_k " << p.top_k << ", top_p " << p.top_p << ", min_p " << p.min_p << " at " << at;
    }
  }
}

TEST(Sampler, ALogprobKeepsItsDigitsUnderLargeLogits) {
  const std::vector<float> logits{10000, 10001};
  EXPECT_NEAR(sample(logits, {}, 0).logprob, -std::log1p(std::exp(-1.0)), 1e-6);
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
