#include "worker/policy/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "tests/kernels/fixtures.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const Component kUniform = make_component("uniform");

Component per_head(double floor) {
  return make_component("per_head", {{"floor", floor}});
}

ConstMatrix matrix(const std::vector<float>& scores, std::size_t heads) {
  const std::size_t rows = scores.size() / heads;
  return {scores.data(), heads, rows, rows};
}

// Scores with many equal ones.
std::vector<float> some_scores(std::size_t count, test::Random& random) {
  std::vector<float> scores(count);
  for (float& s : scores) s = static_cast<float>(random.below(count)) - 3.0F;
  return scores;
}

// By sorting everything.
std::vector<std::uint32_t> sorted_top(const std::vector<float>& scores, std::size_t count) {
  std::vector<std::uint32_t> rows(scores.size());
  std::iota(rows.begin(), rows.end(), 0U);
  std::sort(rows.begin(), rows.end(), [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a > b;
  });
  rows.resize(std::min(count, rows.size()));
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::size_t total(const KeptRows& kept) {
  std::size_t sum = 0;
  for (const auto& head : kept.heads) sum += head.size();
  return sum;
}

TEST(TopRows, TheLargestInAscendingOrder) {
  EXPECT_THAT(top_rows(std::vector{3.0F, 1.0F, 5.0F, 4.0F}, 2), ElementsAre(2, 3));
  EXPECT_THAT(top_rows(std::vector{-3.0F, -1.0F, -5.0F, 0.0F}, 3), ElementsAre(0, 1, 3));
}

TEST(TopRows, EqualScoresGoToTheLaterRow) {
  EXPECT_THAT(top_rows(std::vector{1.0F, 2.0F, 1.0F, 1.0F, 2.0F}, 3), ElementsAre(1, 3, 4));
  EXPECT_THAT(top_rows(std::vector(6, 0.0F), 2), ElementsAre(4, 5));
}

TEST(TopRows, ZerosOfEitherSignAreEqual) {
  EXPECT_THAT(top_rows(std::vector{0.0F, -0.0F}, 1), ElementsAre(1));
  EXPECT_THAT(top_rows(std::vector{-0.0F, 0.0F, -0.0F}, 2), ElementsAre(1, 2));
}

TEST(TopRows, InfinitiesAreOrderedAndNoNumberIsWorst) {
  const std::vector scores{kNan, -kInf, 0.0F, kInf, -kNan};
  EXPECT_THAT(top_rows(scores, 1), ElementsAre(3));
  EXPECT_THAT(top_rows(scores, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(top_rows(scores, 4), ElementsAre(1, 2, 3, 4));
}

TEST(TopRows, AllOfThemIfThereAreNoMoreAndNoneIfNoneIsWanted) {
  const std::vector scores{3.0F, 1.0F, 2.0F};
  EXPECT_THAT(top_rows(scores, 3), ElementsAre(0, 1, 2));
  EXPECT_THAT(top_rows(scores, 9), ElementsAre(0, 1, 2));
  EXPECT_THAT(top_rows(scores, 0), IsEmpty());
  EXPECT_THAT(top_rows(std::vector(2, kInf), 0), IsEmpty());
  EXPECT_THAT(top_rows({}, 4), IsEmpty());
}

TEST(TopRows, AsIfAllWereSorted) {
  test::Random random(5);
  for (const std::size_t n : {1, 2, 31, 500}) {
    for (std::size_t count = 0; count <= n; count += 1 + n / 7) {
      const std::vector<float> scores = some_scores(n, random);
      EXPECT_EQ(top_rows(scores, count), sorted_top(scores, count)) << count << " of " << n;
    }
  }
}

TEST(SelectRows, UniformKeepsAsManyOfEachHead) {
  const std::vector<float> scores{9, 8, 7, 6, 1, 2, 3, 4};
  const KeptRows kept = select_rows(kUniform, matrix(scores, 2), {2, 0, 0});
  EXPECT_THAT(kept.heads, ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3)));
}

TEST(SelectRows, AllocationsBetweenLayersAreUniformWithinOne) {
  test::Random random(2);
  const std::vector<float> scores = some_scores(90, random);
  const KeptRows kept = select_rows(kUniform, matrix(scores, 3), {7, 1, 2});
  for (const char* name : {"pyramid", "uncertainty"}) {
    EXPECT_EQ(select_rows(make_component(name), matrix(scores, 3), {7, 1, 2}), kept) << name;
  }
}

TEST(SelectRows, ProtectedRowsStayWhateverTheirScores) {
  const std::vector<float> scores{kNan, -kInf, kInf, kInf, kInf, -1, -1, 0};
  const KeptRows kept = select_rows(kUniform, matrix(scores, 1), {5, 2, 2});
  EXPECT_THAT(kept.heads, ElementsAre(ElementsAre(0, 1, 4, 6, 7)));
  EXPECT_THAT(select_rows(per_head(0.2), matrix(scores, 1), {5, 2, 2}).heads,
              ElementsAre(ElementsAre(0, 1, 4, 6, 7)));
}

TEST(SelectRows, NothingButProtectedRowsIsPossible) {
  const std::vector<float> scores{1, 2, 3, 4, 5};
  EXPECT_THAT(select_rows(kUniform, matrix(scores, 1), {3, 2, 1}).heads,
              ElementsAre(ElementsAre(0, 1, 4)));
  EXPECT_THAT(select_rows(kUniform, matrix(scores, 1), {0, 0, 0}).heads, ElementsAre(IsEmpty()));
  EXPECT_THAT(select_rows(per_head(0.2), matrix(scores, 1), {0, 0, 0}).heads,
              ElementsAre(IsEmpty()));
}

TEST(SelectRows, ABudgetOfAllRowsKeepsAll) {
  test::Random random(3);
  const std::vector<float> scores = some_scores(60, random);
  std::vector<std::uint32_t> all(20);
  std::iota(all.begin(), all.end(), 0U);
  for (const std::size_t budget : {20, 21, 1000}) {
    for (const Component& allocation : {kUniform, per_head(0), per_head(1)}) {
      const KeptRows kept = select_rows(allocation, matrix(scores, 3), {budget, 4, 900});
      EXPECT_THAT(kept.heads, ElementsAre(all, all, all)) << to_string(allocation) << budget;
    }
  }
}

TEST(SelectRows, PerHeadTakesTheBestOfTheLayer) {
  const std::vector<float> scores{9, 8, 7, 6, 1, 2, 3, 4};
  EXPECT_THAT(select_rows(per_head(0), matrix(scores, 2), {2, 0, 0}).heads,
              ElementsAre(ElementsAre(0, 1, 2, 3), IsEmpty()));
  EXPECT_THAT(select_rows(per_head(0.2), matrix(scores, 2), {2, 0, 0}).heads,
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3)));
  EXPECT_THAT(select_rows(per_head(1), matrix(scores, 2), {2, 0, 0}).heads,
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3)));
}

// By definition: each head's floor, then the best of what is left, until the layer's rows are used
// up.
TEST(SelectRows, PerHeadKeepsTheExactTotalAndEveryFloor) {
  test::Random random(11);
  for (int round = 0; round < 60; ++round) {
    const std::size_t rows = 5 + random.below(60);
    const std::size_t heads = 1 + random.below(5);
    const std::size_t budget = 1 + random.below(rows);
    const double share = static_cast<double>(random.below(101)) / 100;
    std::vector<float> scores(heads * rows);
    for (float& s : scores) s = random.real() * static_cast<float>(1 + random.below(4));
    const Keep keep{budget, random.below(budget + 1) / 2, random.below(budget + 1) / 2};
    const KeptRows kept = select_rows(per_head(share), matrix(scores, heads), keep);
    EXPECT_EQ(total(kept), budget * heads);
    const auto floor = static_cast<std::size_t>(share * static_cast<double>(budget));
    float worst_taken = kInf;
    float best_left = -kInf;
    for (std::size_t h = 0; h < heads; ++h) {
      std::vector<float> guarded(&scores[h * rows], &scores[h * rows] + rows);
      std::fill_n(guarded.begin(), keep.first, kInf);
      std::fill_n(guarded.end() - static_cast<std::ptrdiff_t>(keep.last), keep.last, kInf);
      const auto& mine = kept.heads[h];
      ASSERT_TRUE(std::is_sorted(mine.begin(), mine.end()));
      const auto safe = sorted_top(guarded, std::max(floor, std::size_t{share > 0}));
      EXPECT_TRUE(std::includes(mine.begin(), mine.end(), safe.begin(), safe.end()));
      for (std::uint32_t j = 0; j < rows; ++j) {
        const bool stays = std::binary_search(mine.begin(), mine.end(), j);
        const bool is_safe = std::binary_search(safe.begin(), safe.end(), j);
        if (stays && !is_safe) worst_taken = std::min(worst_taken, guarded[j]);
        if (!stays) best_left = std::max(best_left, guarded[j]);
      }
    }
    EXPECT_GE(worst_taken, best_left);
  }
}

// As for probabilities too small for a float32.
TEST(SelectRows, PerHeadSharesEqualScoresBetweenTheHeads) {
  const std::vector<float> zeros(4 * 10);
  EXPECT_THAT(select_rows(per_head(0.2), matrix(zeros, 4), {3, 0, 0}).heads,
              testing::Each(ElementsAre(7, 8, 9)));
}

TEST(SelectRows, PermutingHeadsPermutesTheSets) {
  test::Random random(7);
  const test::Rows scores = test::Rows::random(3, 200, random, 4);
  test::Rows turned(3, 200, 1);
  for (std::size_t h = 0; h < 3; ++h) {
    std::copy_n(scores.view().row(h), 200, turned.row((h + 1) % 3));
  }
  for (const Component& allocation : {kUniform, per_head(0.2)}) {
    const KeptRows kept = select_rows(allocation, scores.view(), {40, 2, 5});
    const KeptRows other = select_rows(allocation, turned.view(), {40, 2, 5});
    EXPECT_THAT(other.heads, ElementsAre(kept.heads[2], kept.heads[0], kept.heads[1]));
  }
}

TEST(SelectRows, MoreProtectedRowsThanTheBudgetIsABug) {
  const std::vector<float> scores(9);
  EXPECT_THROW(select_rows(kUniform, matrix(scores, 1), {4, 3, 2}), std::logic_error);
}

}  // namespace
}  // namespace varve
