// Scorers and Ada-KV's selection against NVIDIA's kvpress on one layer of a tiny model: the same
// queries, keys and values go in (tests/golden/kvpress_scores.safetensors).
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "tests/kernels/fixtures.h"
#include "tests/support/golden.h"
#include "worker/policy/scorer.h"

namespace varve {
namespace {

constexpr std::size_t kTokens = 96;
constexpr std::size_t kStep = 40;  // queries that are observed at a time

// The shapes of tests/golden/models/llama.
ModelConfig tiny_llama() {
  ModelConfig model;
  model.q_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 16;
  model.rope_dims = 16;
  model.rope_theta = 500;
  model.rope_layout = RopeLayout::kHalves;
  return model;
}

std::vector<float> frequencies(const ModelConfig& model) {
  std::vector<float> inv_freq;
  for (std::size_t i = 0; i < model.rope_dims; i += 2) {
    const double exponent = static_cast<double>(i) / static_cast<double>(model.rope_dims);
    inv_freq.push_back(static_cast<float>(std::pow(model.rope_theta, -exponent)));
  }
  return inv_freq;
}

struct Case {
  std::string golden;
  PolicyConfig policy;
  double tolerance;       // of each score
  bool absolute = false;  // or relative to it
};

PolicyConfig policy_of(const Component& scorer, std::uint32_t keep_first) {
  PolicyConfig policy;
  policy.scorer = scorer;
  policy.compaction = make_component("after_document");
  policy.keep_first = keep_first;
  return policy;
}

Case window(const std::string& golden, double size, double kernel, double all_heads) {
  const Component scorer =
      make_component("window", {{"window", size}, {"kernel", kernel}, {"heads", all_heads}});
  return {golden, policy_of(scorer, 0), 1e-5};
}

Case expected(const std::string& golden, std::string_view param, double value) {
  Component scorer = make_component("expected_attention");
  if (!param.empty()) scorer.set(param, value);
  return {golden, policy_of(scorer, 4), 1e-5};
}

std::vector<Case> cases() {
  return {
      window("snapkv", 64, 5, 0),
      window("snapkv_window16_kernel7", 16, 7, 0),
      window("snapkv_window1_kernel1", 1, 1, 0),
      window("tova", 1, 1, 1),
      {"knorm", policy_of(make_component("key_norm"), 0), 1e-6},
      {"keydiff", policy_of(make_component("key_difference"), 0), 2e-6, true},
      expected("expected_attention", "", 0),
      expected("expected_attention_future32", "future", 32),
      expected("expected_attention_mean_only", "covariance", 0),
      expected("expected_attention_no_value_norm", "value_norm", 0),
      expected("expected_attention_epsilon", "epsilon", 0.02),
  };
}

// The layer that kvpress saw, as the cache would hold and show it.
class Layer {
 public:
  explicit Layer(const std::string& backend)
      : golden(Golden::load(golden_folder() / "kvpress_scores.safetensors")),
        model(tiny_llama()),
        inv_freq_(frequencies(model)),
        ops_(test::test_ops(backend, 2)),
        cached_(DType::kF32, model.kv_heads, model.head_dim, kTokens),
        q_(kTokens, model.q_width()),
        back_(kTokens, model.rope_dims),
        state_(*ops_, kTokens, model.q_heads, model.head_dim),
        positions_(kTokens) {
    std::iota(positions_.begin(), positions_.end(), 0);
    test::Rows k = by_token("keys");
    test::Rows v = by_token("values");
    ops_->append_rows(k.view(), v.view(), positions_, cached_.store(kTokens), 0);
    const auto q = golden.f32("queries");
    std::copy(q.begin(), q.end(), q_.row(0));
    std::vector<std::int32_t> negated;
    for (const std::int32_t position : positions_) negated.push_back(-position);
    ops_->rope_angles(negated, inv_freq_, back_.view());
    const AttendItem all{0, kTokens, cached_.view(kTokens)};
    ops_->attend(q_.view(), positions_, {&all, 1}, params(), state_.view());
  }

  /// What the scorer of a policy may look at once all tokens were read.
  Observed observe(const PolicyConfig& policy) {
    Observed observed(model, document_needs(policy), kTokens, policy.keep_first, *ops_);
    for (std::size_t at = 0; at < kTokens; at += kStep) {
      const std::size_t count = std::min(kStep, kTokens - at);
      const SegmentView so_far = cached_.view(at + count);
      observed.observe({q_.slice(at, count), state_.lse.slice(at, count),
                        std::span(positions_).subspan(at, count), back_.slice(at, count)},
                       {&so_far, 1}, params());
    }
    return observed;
  }

  test::Rows scores(const PolicyConfig& policy) {
    const Observed observed = observe(policy);
    const SegmentView segment = cached_.view(kTokens);
    test::Rows scores(model.kv_heads, kTokens);
    make_scorer(policy)->score({.ops = *ops_,
                                .model = model,
                                .params = params(),
                                .segments = {&segment, 1},
                                .observed = &observed,
                                .next_position = kTokens,
                                .inv_freq = inv_freq_},
                               scores.view());
    return scores;
  }

  const Golden golden;
  const ModelConfig model;

 private:
  AttendParams params() const { return {.q_heads = model.q_heads, .scale = 0.25F}; }

  // [heads, tokens, D] -> [tokens, heads * D]
  test::Rows by_token(std::string_view name) const {
    const auto from = golden.f32(name);
    const std::size_t d = model.head_dim;
    test::Rows rows(kTokens, model.kv_width());
    for (std::size_t h = 0; h < model.kv_heads; ++h) {
      for (std::size_t t = 0; t < kTokens; ++t) {
        std::copy_n(from.begin() + static_cast<std::ptrdiff_t>((h * kTokens + t) * d), d,
                    rows.row(t) + h * d);
      }
    }
    return rows;
  }

  std::vector<float> inv_freq_;
  std::unique_ptr<Ops> ops_;
  test::CachedRows cached_;
  test::Rows q_;
  test::Rows back_;
  test::State state_;
  std::vector<std::int32_t> positions_;
};

class KvpressScores : public testing::TestWithParam<std::tuple<Case, std::string>> {};

TEST_P(KvpressScores, AreOurs) {
  const auto& [c, backend] = GetParam();
  Layer layer(backend);
  test::Rows scores = layer.scores(c.policy);
  const auto expected = layer.golden.f32(c.golden + "/scores");
  const Protected sides = protected_rows(c.policy, kTokens);
  for (std::size_t h = 0; h < layer.model.kv_heads; ++h) {
    for (std::size_t j = sides.first; j < kTokens - sides.last; ++j) {
      const double want = expected[h * kTokens + j];
      const double scale = c.absolute ? 1 : std::abs(want);
      ASSERT_NEAR(scores.row(h)[j], want, c.tolerance * scale) << "head " << h << ", row " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, KvpressScores,
                         testing::Combine(testing::ValuesIn(cases()),
                                          testing::ValuesIn(test::all_backends())),
                         [](const auto& test) {
                           return std::get<0>(test.param).golden + "_" +
                                  test::test_name(std::get<1>(test.param));
                         });

class KvpressAdaKv : public testing::TestWithParam<std::tuple<std::string, double, Case>> {};

// By kvpress's own scores.
TEST_P(KvpressAdaKv, KeepsTheSameRows) {
  const auto& [floor, ratio, scored] = GetParam();
  const Golden golden = Golden::load(golden_folder() / "kvpress_scores.safetensors");
  const auto scores = golden.f32(scored.golden + "/scores");
  const auto budget = static_cast<std::size_t>(kTokens * (1 - ratio));
  const Component allocation = make_component("per_head", {{"floor", std::stod(floor)}});
  const Protected sides = protected_rows(scored.policy, budget);
  const KeptRows kept = select_rows(allocation, {scores.data(), 2, kTokens, kTokens},
                                    {budget, sides.first, sides.last});
  const std::string name =
      "adakv" + floor + "_" + scored.golden + (ratio == 0.5 ? "/0.5" : "/0.8") + "/kept";
  const auto stays = golden.u8(name);
  ASSERT_EQ(kept.heads.size(), 2U);
  for (std::size_t h = 0; h < 2; ++h) {
    std::vector<std::uint32_t> expected;
    for (std::uint32_t j = 0; j < kTokens; ++j) {
      if (stays[h * kTokens + j] != 0) expected.push_back(j);
    }
    EXPECT_EQ(kept.heads[h], expected) << name << ", head " << h;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Golden, KvpressAdaKv,
    testing::Combine(testing::Values("0.0", "0.2", "0.9", "1.0"), testing::Values(0.5, 0.8),
                     testing::Values(window("snapkv_window16_kernel7", 16, 7, 0),
                                     expected("expected_attention", "", 0))));

// Queries are turned back to what they were before their rotation.
TEST(KvpressMoments, MeanOfTheQueriesBeforeRope) {
  Layer layer("reference");
  const Observed observed = layer.observe(policy_of(make_component("expected_attention"), 4));
  const auto before = layer.golden.f32("queries_before_rope");
  const std::size_t width = layer.model.q_width();
  ASSERT_EQ(observed.counted(), kTokens - 4);
  for (std::size_t i = 0; i < width; ++i) {
    double sum = 0;
    for (std::size_t t = 4; t < kTokens; ++t) sum += double{before[t * width + i]};
    EXPECT_NEAR(observed.sums(i / 16)[i % 16], sum, 1e-4) << "element " << i;
  }
}

}  // namespace
}  // namespace varve
