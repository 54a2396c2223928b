#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "tests/kernels/fixtures.h"
#include "tests/support/near.h"
#include "worker/policy/scorer.h"

namespace varve {
namespace {

using testing::ElementsAre;

std::vector<float> mean_of(std::vector<float> scores, std::size_t size) {
  pool_mean(scores, size);
  return scores;
}

std::vector<float> max_of(std::vector<float> scores, std::size_t size) {
  pool_max(scores, size);
  return scores;
}

TEST(Pooling, TheMeanCountsZerosBeyondTheEnds) {
  EXPECT_THAT(mean_of({3, 6, 9, 12}, 3), ElementsAre(3, 6, 9, 7));
  EXPECT_THAT(mean_of({5}, 5), ElementsAre(1));
  EXPECT_THAT(mean_of({7, 7}, 7), ElementsAre(2, 2));
}

TEST(Pooling, RowsThatBecameNeighboursArePooledByTheirPlaceInTheText) {
  const auto near = [](std::vector<float> scores, const std::vector<std::int32_t>& positions,
                       std::size_t size) {
    pool_max_near(scores, positions, size);
    return scores;
  };
  EXPECT_THAT(near({1, 5, 2, 0, 0}, {10, 11, 12, 13, 14}, 3), ElementsAre(5, 5, 5, 2, 0));
  EXPECT_THAT(near({1, 5, 2, 0, 0}, {10, 11, 20, 21, 40}, 3), ElementsAre(5, 5, 2, 2, 0));
  EXPECT_THAT(near({1, 5, 2, 9}, {0, 2, 4, 7}, 5), ElementsAre(5, 5, 5, 9));
  EXPECT_THAT(near({-4, -2}, {3, 9}, 99), ElementsAre(-2, -2));
  EXPECT_THAT(near({}, {}, 3), ElementsAre());
}

TEST(Pooling, NearIsTheMaximumWhereNoRowIsMissing) {
  test::Random random(5);
  std::vector<float> scores(300);
  for (float& score : scores) score = random.real();
  std::vector<std::int32_t> positions(scores.size());
  std::iota(positions.begin(), positions.end(), 77);
  for (const std::size_t size : {1, 3, 15, 299, 601}) {
    std::vector<float> got = scores;
    pool_max_near(got, positions, size);
    EXPECT_EQ(got, max_of(scores, size)) << size;
  }
}

TEST(Pooling, TheMaximumTakesWhatIsThere) {
  EXPECT_THAT(max_of({1, 5, 2, 0, 0}, 3), ElementsAre(5, 5, 5, 2, 0));
  EXPECT_THAT(max_of({-4, -2, -3, -9}, 3), ElementsAre(-2, -2, -2, -3));
  EXPECT_THAT(max_of({-1, -8}, 99), ElementsAre(-1, -1));
}

TEST(Pooling, OfOneChangesNothing) {
  const std::vector<float> scores{0.1F, -3, 7e-20F};
  EXPECT_EQ(mean_of(scores, 1), scores);
  EXPECT_EQ(max_of(scores, 1), scores);
}

TEST(Pooling, OfNothingIsNothing) {
  EXPECT_THAT(mean_of({}, 3), testing::IsEmpty());
  EXPECT_THAT(max_of({}, 3), testing::IsEmpty());
}

TEST(Pooling, MatchesTheDefinitionForEverySize) {
  test::Random random(3);
  for (const std::size_t n : {1, 2, 14, 15, 16, 61}) {
    std::vector<float> scores(n);
    for (float& s : scores) s = random.real();
    for (std::size_t size = 1; size < 2 * n + 4; size += 2) {
      const std::vector<float> mean = mean_of(scores, size);
      const std::vector<float> largest = max_of(scores, size);
      for (std::size_t i = 0; i < n; ++i) {
        double sum = 0;
        float most = -2;
        for (std::size_t j = i - std::min(i, size / 2); j < std::min(n, i + size / 2 + 1); ++j) {
          sum += double{scores[j]};
          most = std::max(most, scores[j]);
        }
        ASSERT_NEAR(mean[i], sum / static_cast<double>(size), 1.01 * test::kEps)
            << i << " of " << n << ", size " << size;
        ASSERT_EQ(largest[i], most) << i << " of " << n << ", size " << size;
      }
    }
  }
}

// Where all neighbours are 0, a large score further away has left nothing behind.
TEST(Pooling, LeavesNoTraceBeyondItsReach) {
  std::vector<float> scores(40);
  scores[10] = 1e9F;
  scores[11] = 0.3F;
  scores[25] = 1e-9F;
  const std::vector<float> pooled = mean_of(scores, 5);
  for (const std::size_t i : {7, 14, 22, 28, 39}) EXPECT_EQ(pooled[i], 0) << i;
  EXPECT_FLOAT_EQ(pooled[23], 2e-10F);
  EXPECT_FLOAT_EQ(pooled[13], 0.06F);
}

TEST(Pooling, AnEvenSizeIsABug) {
  std::vector<float> scores(4);
  EXPECT_THROW(pool_mean(scores, 4), std::logic_error);
  EXPECT_THROW(pool_max(scores, 0), std::logic_error);
  EXPECT_THROW(pool_max_near(scores, std::vector<std::int32_t>{1}, 3), std::logic_error);
}

}  // namespace
}  // namespace varve
