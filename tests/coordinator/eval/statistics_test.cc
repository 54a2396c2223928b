#include "coordinator/eval/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace varve {
namespace {

// The ends solve |share - p| = z sqrt(p (1 - p) / n), found by bisection.
TEST(Wilson, KnownIntervals) {
  const Estimate half = wilson(0.5, 10);
  EXPECT_NEAR(half.low, 0.2365931, 1e-6);
  EXPECT_NEAR(half.high, 0.7634069, 1e-6);
  const Estimate most = wilson(39.0 / 40, 40);
  EXPECT_DOUBLE_EQ(most.value, 0.975);
  EXPECT_NEAR(most.low, 0.8711863, 1e-6);
  EXPECT_NEAR(most.high, 0.9955732, 1e-6);
}

TEST(Wilson, EndsStayWithinZeroAndOne) {
  EXPECT_EQ(wilson(0, 40).low, 0);
  EXPECT_NEAR(wilson(0, 40).high, 0.0876216, 1e-6);
  EXPECT_NEAR(wilson(1, 40).low, 0.9123784, 1e-6);
  EXPECT_EQ(wilson(1, 40).high, 1);
  EXPECT_EQ(wilson(0, 0).low, 0);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(ShareRight, OneQuestionADocumentIsWilson) {
  std::vector<Trials> documents(10, {0, 1});
  for (std::size_t i = 0; i < 5; ++i) documents[i].right = 1;
  const Estimate share = share_right(documents);
  EXPECT_DOUBLE_EQ(share.value, 0.5);
  EXPECT_DOUBLE_EQ(share.low, wilson(0.5, 10).low);
}

TEST(ShareRight, AnswersThatGoWrongTogetherCountAsFewer) {
  // Ten documents of four questions, all right or all wrong: no better than ten questions, and the
  // n / (n - 1) of the variance between documents makes it nine.
  std::vector<Trials> together(10, {0, 4});
  for (std::size_t i = 0; i < 5; ++i) together[i].right = 4;
  const Estimate clustered = share_right(together);
  EXPECT_DOUBLE_EQ(clustered.value, 0.5);
  EXPECT_NEAR(clustered.low, wilson(0.5, 9).low, 1e-12);

  // Two of four in each: as good as independent, never better.
  const std::vector<Trials> evenly(10, {2, 4});
  EXPECT_NEAR(share_right(evenly).low, wilson(0.5, 40).low, 1e-12);
}

TEST(ShareRight, NothingAsked) {
  EXPECT_EQ(share_right({}).high, 1);
}

TEST(MeanOf, KnownInterval) {
  const std::vector<double> values = {0.5, 1.5, 2.0, 4.0, 7.0};
  const Estimate mean = mean_of(values);
  EXPECT_DOUBLE_EQ(mean.value, 3);
  // sd 2.5739075, t(0.975, 4) 2.7764451
  EXPECT_NEAR(mean.high - mean.value, 2.7764451 * 2.5739075 / std::sqrt(5.0), 1e-6);
  EXPECT_NEAR(mean.value - mean.low, mean.high - mean.value, 1e-12);
}

TEST(MeanOf, OneValueSaysNothingOfOthers) {
  const std::vector<double> one = {2};
  EXPECT_EQ(mean_of(one).value, 2);
  EXPECT_TRUE(std::isinf(mean_of(one).low));
  EXPECT_TRUE(std::isinf(mean_of(one).high));
}

}  // namespace
}  // namespace varve
