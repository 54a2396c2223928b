// Scorers against formulas written out in double, and the laws that they all keep.
#include "worker/policy/scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

#include "tests/support/near.h"
#include "tests/worker/policy/layer_scene.h"
#include "worker/policy/selection.h"

namespace varve {
namespace {

using test::LayerScene;
using test::policy_with;
using test::Rows;
using test::SceneShape;

constexpr double kInf = std::numeric_limits<double>::infinity();

Component window(double size, double kernel, std::string_view pool = "avg",
                 std::string_view heads = "group") {
  return make_component("window", {{"window", size},
                                   {"kernel", kernel},
                                   {"pool", pool == "max" ? 1 : 0},
                                   {"heads", heads == "all" ? 1 : 0}});
}

std::vector<PolicyConfig> all_policies() {
  return {
      policy_with(make_component("position")),
      policy_with(window(32, 5)),
      policy_with(window(9, 7, "max")),
      policy_with(window(1, 1, "avg", "all")),
      policy_with(make_component("accumulated")),
      policy_with(make_component("accumulated", {{"normalise", 1}})),
      policy_with(make_component("key_norm")),
      policy_with(make_component("key_difference")),
      policy_with(make_component("expected_attention"), 4),
      policy_with(make_component("expected_attention", {{"covariance", 0}, {"epsilon", 0.01}})),
  };
}

// Head shapes, layouts and formats that a formula must not care about.
std::vector<SceneShape> shapes() {
  return {
      {},
      {.layout = RopeLayout::kInterleaved, .dtype = DType::kF16},
      {.kv_heads = 3, .group = 1, .head_dim = 20, .rope_dims = 16, .dtype = DType::kBF16},
      {.kv_heads = 1, .group = 4, .window = 50},
  };
}

class ScorerTest : public testing::TestWithParam<std::string> {
 protected:
  using Formula = std::function<double(const LayerScene&, std::size_t head, std::size_t row)>;

  // Compares with a formula, where numbers are off by a fraction of themselves or of 1.
  void expect_formula(const PolicyConfig& policy, const Formula& formula, bool absolute = false) {
    for (const SceneShape& shape : shapes()) {
      const LayerScene scene(*ops_, shape);
      Rows scores = scene.scores(policy);
      EXPECT_TRUE(scores.gaps_intact());
      for (std::size_t h = 0; h < shape.kv_heads; ++h) {
        for (std::size_t j = 0; j < shape.rows; ++j) {
          const double want = formula(scene, h, j);
          if (want == kInf) {
            ASSERT_EQ(scores.row(h)[j], want) << "head " << h << ", row " << j;
            continue;
          }
          const double scale = absolute ? 1 : std::abs(want);
          ASSERT_NEAR(scores.row(h)[j], want, scene.tolerance() * scale)
              << to_string(policy.scorer) << ", " << shape.kv_heads << " heads of "
              << shape.head_dim << ", head " << h << ", row " << j;
        }
      }
    }
  }

  std::unique_ptr<Ops> ops_ = test::test_ops(GetParam(), 2);
};

// SnapKV: mean over the window and the group, then over neighbours, as probabilities of the whole
// causal row; what lies beyond the first row or in the window counts as 0.
double pooled_window(const LayerScene& scene, std::size_t head, std::size_t row, std::size_t size,
                     std::size_t kernel, bool takes_maximum, bool all_heads) {
  const std::size_t before = scene.rows() - size;
  if (row >= before) return kInf;
  const std::size_t group = scene.model().q_heads / scene.model().kv_heads;
  const std::size_t first = all_heads ? 0 : head * group;
  const std::size_t last = all_heads ? scene.q_heads() : first + group;
  double pooled = 0;
  for (std::size_t j = row - std::min(row, kernel / 2); j < std::min(before, row + kernel / 2 + 1);
       ++j) {
    double sum = 0;
    for (std::size_t h = first; h < last; ++h) {
      for (std::size_t i = before; i < scene.rows(); ++i) sum += scene.probability(h, i, j);
    }
    const double mean = sum / static_cast<double>(size * (last - first));
    pooled = takes_maximum ? std::max(pooled, mean) : pooled + mean / static_cast<double>(kernel);
  }
  return pooled;
}

TEST_P(ScorerTest, WindowIsSnapKv) {
  for (const auto& [size, kernel] : {std::pair{32, 5}, {10, 7}, {1, 1}, {149, 3}}) {
    const auto w = static_cast<std::size_t>(size);
    const auto k = static_cast<std::size_t>(kernel);
    expect_formula(policy_with(window(size, kernel)),
                   [&](const LayerScene& scene, std::size_t head, std::size_t row) {
                     return pooled_window(scene, head, row, w, k, false, false);
                   });
    expect_formula(policy_with(window(size, kernel, "max")),
                   [&](const LayerScene& scene, std::size_t head, std::size_t row) {
                     return pooled_window(scene, head, row, w, k, true, false);
                   });
  }
}

TEST_P(ScorerTest, WindowOfOneQueryAndAllHeadsIsTova) {
  expect_formula(policy_with(window(1, 1, "avg", "all")),
                 [](const LayerScene& scene, std::size_t head, std::size_t row) {
                   return pooled_window(scene, head, row, 1, 1, false, true);
                 });
}

TEST_P(ScorerTest, AWindowOfAllRowsLeavesNoneToBeScored) {
  const LayerScene scene(*ops_, {.rows = 20});
  Rows scores = scene.scores(policy_with(window(32, 5)));
  for (std::size_t j = 0; j < 20; ++j) EXPECT_EQ(scores.row(1)[j], kInf);
}

// H2O, per key head the mean over its group.
double column_sum(const LayerScene& scene, std::size_t head, std::size_t row) {
  const std::size_t group = scene.model().q_heads / scene.model().kv_heads;
  double sum = 0;
  for (std::size_t h = head * group; h < (head + 1) * group; ++h) {
    for (std::size_t i = row; i < scene.rows(); ++i) sum += scene.probability(h, i, row);
  }
  return sum / static_cast<double>(group);
}

TEST_P(ScorerTest, AccumulatedIsH2o) {
  expect_formula(policy_with(make_component("accumulated")), column_sum);
}

TEST_P(ScorerTest, AccumulatedIsDividedByTheQueriesThatCouldSee) {
  expect_formula(policy_with(make_component("accumulated", {{"normalise", 1}})),
                 [](const LayerScene& scene, std::size_t head, std::size_t row) {
                   std::size_t queries = 0;
                   for (std::size_t i = 0; i < scene.rows(); ++i) queries += scene.sees(i, row);
                   return column_sum(scene, head, row) / static_cast<double>(queries);
                 });
}

TEST_P(ScorerTest, AccumulatedScoresOfAHeadSumToTheNumberOfQueries) {
  const LayerScene scene(*ops_, {});
  Rows scores = scene.scores(policy_with(make_component("accumulated")));
  for (std::size_t h = 0; h < 2; ++h) {
    double sum = 0;
    for (std::size_t j = 0; j < scene.rows(); ++j) sum += double{scores.row(h)[j]};
    EXPECT_NEAR(sum, 150, 150 * scene.tolerance());
  }
}

double length(const double* x, std::size_t size) {
  double squares = 0;
  for (std::size_t i = 0; i < size; ++i) squares += x[i] * x[i];
  return std::sqrt(squares);
}

TEST_P(ScorerTest, KeyNormIsTheLengthOfTheKey) {
  expect_formula(policy_with(make_component("key_norm")),
                 [](const LayerScene& scene, std::size_t head, std::size_t row) {
                   return -length(scene.key(head, row), scene.model().head_dim);
                 });
}

TEST_P(ScorerTest, KeyDifferenceIsTheCosineWithTheMeanDirection) {
  const auto formula = [](const LayerScene& scene, std::size_t head, std::size_t row) {
    const std::size_t d = scene.model().head_dim;
    std::vector<double> anchor(d);
    for (std::size_t j = 0; j < scene.rows(); ++j) {
      const double* key = scene.key(head, j);
      const double its_length = length(key, d);
      for (std::size_t i = 0; i < d; ++i) {
        anchor[i] += key[i] / its_length / static_cast<double>(scene.rows());
      }
    }
    const double* key = scene.key(head, row);
    double dot = 0;
    for (std::size_t i = 0; i < d; ++i) dot += key[i] * anchor[i];
    return -dot / (length(key, d) * length(anchor.data(), d));
  };
  expect_formula(policy_with(make_component("key_difference")), formula, true);
}

TEST_P(ScorerTest, KeysOfZerosHaveScores) {
  LayerScene scene(*ops_, {});
  scene.plant(3, 0);
  EXPECT_EQ(scene.scores(policy_with(make_component("key_norm"))).row(0)[3], 0);
  EXPECT_EQ(scene.scores(policy_with(make_component("key_difference"))).row(0)[3], 0);
}

// What Expected Attention's formula says, in the order in which it says it.
class Expected {
 public:
  Expected(const LayerScene& scene, std::size_t first, std::size_t future, bool covariance)
      : scene_(scene), first_(first), covariance_(covariance) {
    const auto count = static_cast<double>(future);
    for (const float frequency : scene.inv_freq()) {
      cosines_.push_back(0);
      sines_.push_back(0);
      for (std::size_t p = scene.rows(); p < scene.rows() + future; ++p) {
        const double angle = double{static_cast<float>(p) * frequency};
        cosines_.back() += std::cos(angle) / count;
        sines_.back() += std::sin(angle) / count;
      }
    }
  }

  double softmax(std::size_t head, std::size_t row) {
    if (exponents_.size() <= head) exponents_.resize(head + 1);
    std::vector<double>& all = exponents_[head];
    if (all.empty()) {
      all = exponents(head);
      double sum = 0;
      for (const double x : all) sum += std::exp(x);
      for (double& x : all) x = std::exp(x) / sum;
    }
    return all[row - first_];
  }

 private:
  // R^T k, R being the mean of the rotations.
  std::vector<double> unrotated(const double* key) const {
    const ModelConfig& model = scene_.model();
    const std::size_t half = model.rope_dims / 2;
    std::vector<double> u(key, key + model.head_dim);
    for (std::size_t i = 0; i < half; ++i) {
      const bool halves = model.rope_layout == RopeLayout::kHalves;
      const std::size_t a = halves ? i : 2 * i;
      const std::size_t b = halves ? i + half : 2 * i + 1;
      u[a] = key[a] * cosines_[i] + key[b] * sines_[i];
      u[b] = key[b] * cosines_[i] - key[a] * sines_[i];
    }
    return u;
  }

  // The variance of u . q over the queries is u^T C u.
  std::vector<double> exponents(std::size_t head) const {
    const ModelConfig& model = scene_.model();
    const std::size_t d = model.head_dim;
    const auto count = static_cast<double>(scene_.rows() - first_);
    std::vector<double> all;
    for (std::size_t j = first_; j < scene_.rows(); ++j) {
      const std::size_t kv_head = head * model.kv_heads / model.q_heads;
      const std::vector<double> u = unrotated(scene_.key(kv_head, j));
      std::vector<double> dots;
      double mean = 0;
      for (std::size_t t = first_; t < scene_.rows(); ++t) {
        double dot = 0;
        for (std::size_t i = 0; i < d; ++i) dot += u[i] * double{scene_.plain_query(head, t)[i]};
        dots.push_back(dot);
        mean += dot / count;
      }
      double variance = 0;
      for (const double dot : dots) variance += (dot - mean) * (dot - mean) / count;
      const double size = static_cast<double>(d);
      all.push_back(mean / std::sqrt(size) + (covariance_ ? variance / (2 * size) : 0));
    }
    return all;
  }

  const LayerScene& scene_;
  std::size_t first_;
  bool covariance_;
  std::vector<double> cosines_;  // means over the next positions
  std::vector<double> sines_;
  std::vector<std::vector<double>> exponents_;  // of each query head
};

struct ExpectedCase {
  std::size_t first = 4;
  std::size_t future = 512;
  bool covariance = true;
  bool value_norm = true;
  double epsilon = 0;
};

TEST_P(ScorerTest, ExpectedAttentionIsItsFormula) {
  for (const ExpectedCase& c :
       {ExpectedCase{}, ExpectedCase{.first = 0, .future = 1}, ExpectedCase{.covariance = false},
        ExpectedCase{.value_norm = false}, ExpectedCase{.epsilon = 0.02}}) {
    const Component scorer =
        make_component("expected_attention", {{"future", static_cast<double>(c.future)},
                                              {"covariance", c.covariance ? 1 : 0},
                                              {"value_norm", c.value_norm ? 1 : 0},
                                              {"epsilon", c.epsilon}});
    std::unique_ptr<Expected> expected;
    const LayerScene* last = nullptr;
    expect_formula(
        policy_with(scorer, static_cast<std::uint32_t>(c.first)),
        [&](const LayerScene& scene, std::size_t head, std::size_t row) {
          if (last != &scene || (head == 0 && row == 0)) {
            expected = std::make_unique<Expected>(scene, c.first, c.future, c.covariance);
            last = &scene;
          }
          const std::size_t group = scene.model().q_heads / scene.model().kv_heads;
          double p = 0;
          for (std::size_t g = 0; g < group && row >= c.first; ++g) {
            p += expected->softmax(head * group + g, row) / static_cast<double>(group);
          }
          if (!c.value_norm) return p;
          return (p + c.epsilon) * length(scene.value(head, row), scene.model().head_dim);
        });
  }
}

TEST_P(ScorerTest, PositionKeepsTheNewestRows) {
  const LayerScene scene(*ops_, {.rows = 12});
  const Rows scores = scene.scores(policy_with(make_component("position")));
  const KeptRows kept = select_rows(make_component("uniform"), scores.view(), {5, 2, 0});
  EXPECT_THAT(kept.heads, testing::Each(testing::ElementsAre(0, 1, 9, 10, 11)));
}

// Laws of all scorers.

// More rows than are decoded at a time.
TEST_P(ScorerTest, DoNotDependOnStepsNorSegments) {
  const LayerScene scene(*ops_, {.rows = 560,
                                 .kv_heads = 2,
                                 .group = 1,
                                 .head_dim = 16,
                                 .rope_dims = 16,
                                 .dtype = DType::kF16});
  for (const PolicyConfig& policy : all_policies()) {
    const Rows whole = scene.scores(policy, 560);
    const std::vector<std::vector<std::size_t>> cuts{{}, {1}, {511, 513}, {90, 300, 559}};
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      const std::size_t chunk = std::vector<std::size_t>{1, 7, 64, 512}[i];
      EXPECT_TRUE(test::same_bits(scene.scores(policy, chunk, cuts[i]).view(), whole.view()))
          << to_string(policy.scorer) << ", steps of " << chunk;
    }
  }
}

TEST_P(ScorerTest, PermutingHeadsPermutesTheScores) {
  const LayerScene scene(*ops_, {});
  const LayerScene swapped(*ops_, {.swapped = true});
  for (const PolicyConfig& policy : all_policies()) {
    Rows scores = scene.scores(policy);
    Rows others = swapped.scores(policy);
    EXPECT_TRUE(test::same_bits(scores.slice(0, 1), others.slice(1, 1)));
    EXPECT_TRUE(test::same_bits(scores.slice(1, 1), others.slice(0, 1)))
        << to_string(policy.scorer);
  }
}

TEST_P(ScorerTest, ABudgetOfAllRowsKeepsThem) {
  const LayerScene scene(*ops_, {.rows = 60});
  for (const PolicyConfig& policy : all_policies()) {
    const Rows scores = scene.scores(policy);
    for (const Component& allocation : {make_component("uniform"), make_component("per_head")}) {
      for (const auto& head : select_rows(allocation, scores.view(), {60, 4, 0}).heads) {
        EXPECT_EQ(head.size(), 60U) << to_string(policy.scorer);
      }
    }
  }
}

// What the newest queries look for survives where they are asked.
TEST_P(ScorerTest, ANeedleSurvives) {
  LayerScene scene(*ops_, {.rows = 400});
  scene.plant(123, 4);
  for (const Component& scorer :
       {window(16, 5), window(16, 7, "max"), window(1, 1, "avg", "all")}) {
    const Rows scores = scene.scores(policy_with(scorer));
    for (const Component& allocation : {make_component("uniform"), make_component("per_head")}) {
      const KeptRows kept = select_rows(allocation, scores.view(), {24, 0, 16});
      EXPECT_THAT(kept.heads, testing::Each(testing::Contains(123U))) << to_string(scorer);
    }
  }
  const Rows norms = scene.scores(policy_with(make_component("key_norm")));
  const KeptRows kept = select_rows(make_component("uniform"), norms.view(), {24, 0, 16});
  EXPECT_THAT(kept.heads, testing::Each(testing::Not(testing::Contains(123U))));
}

TEST_P(ScorerTest, WantWhatWasToBeObserved) {
  const LayerScene scene(*ops_, {.rows = 12});
  const auto segments = scene.segments(12, {});
  Rows scores(2, 12);
  for (const Component& scorer :
       {window(4, 5), make_component("accumulated"), make_component("expected_attention")}) {
    EXPECT_THROW(
        make_scorer(policy_with(scorer))->score(scene.layer_rows(segments, nullptr), scores.view()),
        std::logic_error)
        << scorer.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, ScorerTest, testing::ValuesIn(test::all_backends()),
                         [](const auto& test) { return test::test_name(test.param); });

TEST(MakeScorer, HasNoneForNone) {
  EXPECT_THROW(make_scorer(policy_with(make_component("none"))), std::logic_error);
}

}  // namespace
}  // namespace varve
