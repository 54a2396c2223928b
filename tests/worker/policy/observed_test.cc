#include "worker/policy/observed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "tests/support/near.h"
#include "tests/worker/policy/layer_scene.h"

namespace varve {
namespace {

using test::LayerScene;
using test::same_bits;
using test::SceneShape;

constexpr ObservedNeeds kAll{.last_queries = 20, .mass = true, .query_moments = true};

ConstMatrix as_row(std::span<const double> values) {
  // Twice as many numbers of half the bits: equal if all bits are.
  return {reinterpret_cast<const float*>(values.data()), 1, 2 * values.size(), 2 * values.size()};
}

// Rows [begin, begin + count) of a matrix.
ConstMatrix part(ConstMatrix m, std::size_t begin, std::size_t count) {
  return {m.row(begin), count, m.cols, m.stride};
}

// The newest `count` queries of the scene, piece by piece.
void expect_newest(const LayerScene& scene, const Observed& observed, std::size_t count) {
  const auto pieces = observed.last_queries(count);
  std::size_t at = scene.rows() - count;
  for (const Observed::Queries& piece : pieces) {
    ASSERT_GT(piece.q.rows, 0U);
    EXPECT_TRUE(same_bits(piece.q, part(scene.queries(), at, piece.q.rows)));
    EXPECT_TRUE(same_bits(piece.lse, part(scene.lse(), at, piece.q.rows)));
    for (const std::int32_t position : piece.positions) {
      EXPECT_EQ(static_cast<std::size_t>(position), at++);
    }
  }
  EXPECT_LE(pieces.size(), 2U);
  EXPECT_EQ(at, scene.rows());
}

// Every bit, wherever the rows came from.
void expect_same(const Observed& a, const Observed& b) {
  EXPECT_TRUE(same_bits(a.mass(), b.mass()));
  EXPECT_EQ(a.newest(), b.newest());
  EXPECT_EQ(a.counted(), b.counted());
  for (std::size_t h = 0; a.needs().query_moments && h < 6; ++h) {
    EXPECT_TRUE(same_bits(as_row(a.sums(h)), as_row(b.sums(h)))) << h;
    EXPECT_TRUE(same_bits(as_row(a.products(h)), as_row(b.products(h)))) << h;
  }
}

class ObservedTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = test::test_ops(GetParam(), 2);
};

TEST_P(ObservedTest, DoesNotDependOnSteps) {
  const LayerScene scene(*ops_, {});
  const Observed whole = scene.observe(kAll, 4, scene.rows());
  expect_newest(scene, whole, 20);
  for (const std::size_t chunk : {1, 7, 20, 64, 149}) {
    const Observed observed = scene.observe(kAll, 4, chunk);
    expect_same(observed, whole);
    expect_newest(scene, observed, 20);
  }
}

TEST_P(ObservedTest, DoesNotDependOnSegments) {
  const LayerScene scene(*ops_, {});
  const Observed whole = scene.observe(kAll, 4, 33);
  expect_same(scene.observe(kAll, 4, 33, {1}), whole);
  expect_same(scene.observe(kAll, 4, 7, {64, 65, 120}), whole);
}

// Every query head gives away one softmax.
TEST_P(ObservedTest, TheMassOfAKeyHeadIsItsQueriesTimesItsHeads) {
  const LayerScene scene(*ops_, {.dtype = DType::kF16});
  const Observed observed = scene.observe(kAll, 0, 64);
  for (std::size_t h = 0; h < 2; ++h) {
    double sum = 0;
    for (std::size_t j = 0; j < scene.rows(); ++j) sum += double{observed.mass().row(h)[j]};
    const double want = 3.0 * static_cast<double>(scene.rows());
    EXPECT_NEAR(sum, want, want * scene.tolerance());
  }
}

TEST_P(ObservedTest, GivesFewerQueriesThanItHolds) {
  const LayerScene scene(*ops_, {});
  const Observed observed = scene.observe(kAll, 0, 64);
  for (const std::size_t count : {1, 2, 9, 10, 11, 19}) expect_newest(scene, observed, count);
  EXPECT_EQ(observed.last_queries(0).size(), 0U);
}

TEST_P(ObservedTest, GivesAllQueriesOfAShortText) {
  const LayerScene scene(*ops_, {.rows = 13});
  const Observed observed = scene.observe(kAll, 0, 5);
  const auto pieces = observed.last_queries(20);
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_TRUE(same_bits(pieces[0].q, scene.queries()));
}

TEST_P(ObservedTest, MomentsAreOfQueriesBeforeTheirRotation) {
  for (const RopeLayout layout : {RopeLayout::kHalves, RopeLayout::kInterleaved}) {
    for (const std::size_t rope_dims : {32, 20}) {
      const LayerScene scene(*ops_, {.rope_dims = rope_dims, .layout = layout});
      const Observed observed = scene.observe(kAll, 5, 64);
      ASSERT_EQ(observed.counted(), scene.rows() - 5);
      for (std::size_t h = 0; h < 6; ++h) {
        for (std::size_t i = 0; i < 32; ++i) {
          double sum = 0;
          std::vector<double> products(32);
          for (std::size_t t = 5; t < scene.rows(); ++t) {
            const float* q = scene.plain_query(h, t);
            sum += double{q[i]};
            for (std::size_t j = i; j < 32; ++j) products[j] += double{q[i]} * double{q[j]};
          }
          // Each of about 150 queries below 2 was rounded when it was rotated.
          ASSERT_NEAR(observed.sums(h)[i], sum, 150 * 4 * test::kEps);
          for (std::size_t j = i; j < 32; ++j) {
            ASSERT_NEAR(observed.products(h)[i * 32 + j], products[j], 150 * 16 * test::kEps);
          }
        }
      }
    }
  }
}

TEST_P(ObservedTest, SkippedQueriesStillHaveAttention) {
  const LayerScene scene(*ops_, {});
  const Observed skipped = scene.observe(kAll, 1000, 64);
  EXPECT_EQ(skipped.counted(), 0U);
  EXPECT_EQ(skipped.sums(0)[0], 0);
  EXPECT_TRUE(same_bits(skipped.mass(), scene.observe(kAll, 0, 64).mass()));
}

TEST_P(ObservedTest, HoldsOnlyWhatIsNeeded) {
  const LayerScene scene(*ops_, {});
  const Observed nothing = scene.observe({}, 0, 64);
  EXPECT_EQ(nothing.bytes(), 0U);
  EXPECT_TRUE(nothing.last_queries(9).empty());
  EXPECT_EQ(nothing.mass().cols, 0U);
  EXPECT_EQ(nothing.counted(), 0U);
  EXPECT_EQ(nothing.newest(), 149);
  const Observed mass = scene.observe({.mass = true}, 0, 64);
  EXPECT_EQ(mass.bytes(), 2 * 150 * 4U);
  const Observed queries = scene.observe({.last_queries = 7}, 0, 64);
  EXPECT_EQ(queries.bytes(), 7 * (6 * 32 + 6 + 1) * 4U);
  const Observed moments = scene.observe({.query_moments = true}, 0, 64);
  EXPECT_EQ(moments.bytes(), 6 * 32 * 33 * 8U);
}

TEST_P(ObservedTest, ACopyGoesItsOwnWay) {
  const LayerScene scene(*ops_, {});
  Observed observed = scene.observe(kAll, 4, 64);
  const Observed same = observed.copy(scene.rows());
  expect_same(same, observed);
  expect_newest(scene, same, 20);
  const Observed larger = observed.copy(scene.rows() + 9);
  EXPECT_EQ(larger.rows(), 159U);
  EXPECT_EQ(larger.mass().row(1)[149], observed.mass().row(1)[149]);
  EXPECT_EQ(larger.mass().row(0)[150], 0);
  EXPECT_EQ(larger.mass().row(1)[158], 0);
  const Observed smaller = observed.copy(10);
  EXPECT_EQ(smaller.mass().cols, 10U);
  EXPECT_EQ(smaller.mass().row(1)[9], observed.mass().row(1)[9]);
  observed.gather({{{1}, {2}}});
  expect_same(same, scene.observe(kAll, 4, 64));
}

// What is observed after rows went is added to those that are left.
TEST_P(ObservedTest, GatherKeepsTheMassOfTheRowsThatStay) {
  const LayerScene scene(*ops_, {});
  Observed observed = scene.observe({.mass = true}, 0, 64);
  const Observed before = observed.copy(scene.rows());
  const KeptRows kept{{{0, 3, 70, 149}, {1, 2, 4, 5}}};
  observed.gather(kept);
  for (std::size_t h = 0; h < 2; ++h) {
    for (std::size_t i = 0; i < scene.rows(); ++i) {
      const float want = i < 4 ? before.mass().row(h)[kept.heads[h][i]] : 0;
      ASSERT_EQ(observed.mass().row(h)[i], want) << "head " << h << ", row " << i;
    }
  }
}

TEST_P(ObservedTest, MoreRowsThanThereIsRoomForAreABug) {
  const LayerScene scene(*ops_, {});
  Observed small(scene.model(), {.mass = true}, 100, 0, *ops_);
  const std::int32_t last = 149;
  const ObservedRows row{part(scene.queries(), 149, 1), part(scene.lse(), 149, 1), {&last, 1}, {}};
  EXPECT_THROW(small.observe(row, scene.segments(150, {90}), scene.params()), std::logic_error);
  EXPECT_NO_THROW(small.observe(row, scene.segments(100, {90}), scene.params()));
}

TEST_P(ObservedTest, MomentsWantTheAngles) {
  const LayerScene scene(*ops_, {});
  Observed observed(scene.model(), {.query_moments = true}, 150, 0, *ops_);
  const std::int32_t last = 149;
  const ObservedRows row{part(scene.queries(), 149, 1), part(scene.lse(), 149, 1), {&last, 1}, {}};
  EXPECT_THROW(observed.observe(row, scene.segments(150, {}), scene.params()), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(Backends, ObservedTest, testing::ValuesIn(test::all_backends()),
                         [](const auto& test) { return test::test_name(test.param); });

}  // namespace
}  // namespace varve
