// What probes pay, against sums in double, and what a guided scorer makes of it.
#include "worker/policy/guided.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/worker/policy/layer_scene.h"

namespace varve {
namespace {

using test::LayerScene;
using test::policy_with;
using test::Rows;
using test::SceneShape;

class GuidedTest : public testing::TestWithParam<std::string> {
 protected:
  // Rows [begin, end) of the scene, as a probe of the rows before `held`.
  void add(const LayerScene& scene, std::size_t begin, std::size_t end, std::size_t held, bool sum,
           Matrix scores) {
    std::vector<std::int32_t> positions(end - begin);
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(begin));
    const auto part = [&](ConstMatrix m) {
      return ConstMatrix{m.row(begin), end - begin, m.cols, m.stride};
    };
    add_probe(*ops_, scene.params(), {part(scene.queries()), part(scene.lse()), positions, {}},
              scene.segments(held, {}).front(), sum, scores);
  }

  // The sum over the group of the maximum (or the sum) over the probe's tokens.
  double paid(const LayerScene& scene, std::size_t head, std::size_t row, std::size_t begin,
              std::size_t end, bool sum) const {
    const std::size_t group = scene.model().q_heads / scene.model().kv_heads;
    double all = 0;
    for (std::size_t h = head * group; h < (head + 1) * group; ++h) {
      double best = 0;
      for (std::size_t i = begin; i < end; ++i) {
        const double p = scene.probability(h, i, row);
        best = sum ? best + p : std::max(best, p);
      }
      all += best;
    }
    return all;
  }

  std::unique_ptr<Ops> ops_ = test::test_ops(GetParam(), 2);
};

TEST_P(GuidedTest, AProbePaysItsMaximumOrItsSumOverTokens) {
  for (const bool sum : {false, true}) {
    for (const SceneShape& shape :
         {SceneShape{}, SceneShape{.dtype = DType::kF16},
          SceneShape{.kv_heads = 3, .group = 1, .head_dim = 20, .rope_dims = 16}}) {
      const LayerScene scene(*ops_, shape);
      const std::size_t held = shape.rows - 20;
      Rows scores(shape.kv_heads, held, 3);
      for (std::size_t h = 0; h < shape.kv_heads; ++h) std::fill_n(scores.row(h), held, 0.0F);
      add(scene, held, held + 9, held, sum, scores.view());
      EXPECT_TRUE(scores.gaps_intact());
      for (std::size_t h = 0; h < shape.kv_heads; ++h) {
        for (std::size_t j = 0; j < held; ++j) {
          const double want = paid(scene, h, j, held, held + 9, sum);
          ASSERT_NEAR(scores.row(h)[j], want, scene.tolerance() * want + 1e-9)
              << "head " << h << ", row " << j << (sum ? ", sum" : ", max");
        }
      }
    }
  }
}

// The maximum over probes, so that their order says nothing, bit for bit.
TEST_P(GuidedTest, SeveralProbesMayComeInAnyOrder) {
  const SceneShape shape;
  const LayerScene scene(*ops_, shape);
  const std::size_t held = shape.rows - 30;
  std::vector<Rows> all;
  for (const bool turned : {false, true}) {
    Rows& scores = all.emplace_back(shape.kv_heads, held);
    for (std::size_t h = 0; h < shape.kv_heads; ++h) std::fill_n(scores.row(h), held, 0.0F);
    add(scene, held + (turned ? 12 : 0), held + (turned ? 20 : 12), held, false, scores.view());
    add(scene, held + (turned ? 0 : 12), held + (turned ? 12 : 20), held, false, scores.view());
  }
  for (std::size_t h = 0; h < shape.kv_heads; ++h) {
    for (std::size_t j = 0; j < held; ++j) {
      ASSERT_EQ(all[0].row(h)[j], all[1].row(h)[j]);
      const double want = std::max(paid(scene, h, j, held, held + 12, false),
                                   paid(scene, h, j, held + 12, held + 20, false));
      ASSERT_NEAR(all[0].row(h)[j], want, scene.tolerance() * want + 1e-9);
    }
  }
}

TEST_P(GuidedTest, TheScorerPoolsOverNeighbours) {
  const SceneShape shape;
  const LayerScene scene(*ops_, shape);
  const std::vector<SegmentView> segments = scene.segments(shape.rows, {});
  Rows probed(shape.kv_heads, shape.rows);
  for (std::size_t h = 0; h < shape.kv_heads; ++h) {
    std::fill_n(probed.row(h), shape.rows, 0.25F);
    probed.row(h)[40 + h] = 2;
  }
  LayerRows rows = scene.layer_rows(segments, nullptr);
  rows.probed = probed.view();
  Rows scores(shape.kv_heads, shape.rows);
  make_scorer(policy_with(make_component("guided", {{"kernel", 5}})))->score(rows, scores.view());
  for (std::size_t h = 0; h < shape.kv_heads; ++h) {
    for (std::size_t j = 0; j < shape.rows; ++j) {
      const bool near = j >= 38 + h && j <= 42 + h;
      ASSERT_EQ(scores.row(h)[j], near ? 2.0F : 0.25F) << "head " << h << ", row " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, GuidedTest, testing::ValuesIn(test::all_backends()),
                         [](const auto& tested) { return test::test_name(tested.param); });

TEST(FixedPoint, SumsAreExactInAnyOrder) {
  test::Random random(3);
  const Rows values = Rows::random(1, 1000, random);
  std::vector<std::int64_t> fixed;
  for (std::size_t i = 0; i < 1000; ++i)
    fixed.push_back(to_fixed(std::abs(values.view().row(0)[i])));
  const std::int64_t forward = std::accumulate(fixed.begin(), fixed.end(), std::int64_t{0});
  const std::int64_t backward = std::accumulate(fixed.rbegin(), fixed.rend(), std::int64_t{0});
  EXPECT_EQ(forward, backward);
  double sum = 0;
  for (std::size_t i = 0; i < 1000; ++i) sum += std::abs(double{values.view().row(0)[i]});
  EXPECT_NEAR(from_fixed(forward), sum, 1000 * std::ldexp(1, -37) + sum * std::ldexp(1, -24));
}

TEST(FixedPoint, HoldsWhatAModelCanPay) {
  // A group of 64 query heads in 1024 layers and heads, each with a probability of 1.
  const std::int64_t one = to_fixed(64);
  EXPECT_EQ(from_fixed(one * 1024 * 1024), 64.0F * 1024 * 1024);
  EXPECT_EQ(to_fixed(0), 0);
  EXPECT_GT(to_fixed(1e-9F), 0);
}

}  // namespace
}  // namespace varve
