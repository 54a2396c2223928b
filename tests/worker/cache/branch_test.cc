// A fork of a whole document that is compacted, as an evaluation tries policies, against a document
// that is compacted itself, as in a job: the questions of both read the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "common/policy/presets.h"
#include "tests/support/small_config.h"
#include "worker/cache/stage_cache.h"

namespace varve {
namespace {

constexpr std::uint32_t kDocument = 90;
constexpr std::uint32_t kPrompt = 5;
constexpr std::uint32_t kAnswer = 12;
constexpr std::uint32_t kChunk = 32;

ModelConfig tiny_model() {
  return small_config(3, 8);
}

PolicyConfig named(std::string_view name) {
  PolicyConfig policy = find_preset(name)->policy;
  policy.budget = {Budget::Kind::kTokens, 40};
  if (policy.scorer.name == "window") {
    policy.scorer.set("window", std::min(policy.scorer.get("window"), 16.0));
  }
  for (const char* decode : {"slide", "adaptive", "discontinuous"}) {
    if (policy.decode.name != decode) continue;
    policy.decode.set("heavy", 2);
    policy.decode.set("recent", 3);
  }
  return policy;
}

struct BranchCase {
  std::string name;
  PolicyConfig policy;
};

std::vector<BranchCase> all_cases() {
  std::vector<BranchCase> cases;
  for (const Preset& preset : presets()) {
    if (preset.policy.compaction.name != "after_document") continue;
    if (preset.policy.scorer.name == "none") continue;
    cases.push_back({preset.policy.preset, named(preset.policy.preset)});
  }
  for (const char* name : {"h2o", "keydiff", "scope_slide"}) {
    cases.push_back({std::string(name).append("_compact"), named(name)});
    cases.back().policy.positions = Positions::kCompact;
  }
  return cases;
}

class Branch : public testing::TestWithParam<BranchCase> {
 protected:
  /// Every output of the question's rows, in all layers.
  std::vector<float> ask(bool forked) {
    StageCache::Options options{
        .dtype = DType::kF16,
        .policies = {PolicyConfig{}, GetParam().policy},
        .inv_freq = {1.0F, 0.1F, 0.01F, 0.001F},
        .rows = kChunk,
        .plain_slots = GetParam().policy.positions == Positions::kCompact ? kDocument : 0U};
    // The document observes for these, too, if it is not the policy's own.
    if (forked) {
      for (const char* other : {"expected_attention", "scope_slide", "snapkv"}) {
        options.policies.push_back(named(other));
      }
    }
    StageCache cache(model_, {0, model_.layers}, options, *ops_);
    open(cache, {.sequence = 0, .policy = forked ? 0U : 1U, .capacity = kDocument});
    for (std::uint32_t at = 0; at < kDocument; at += kChunk) {
      read(cache, {0, at, std::min(kChunk, kDocument - at)});
    }
    std::uint32_t parent = 0;
    if (forked) open(cache, {.sequence = parent = 1, .parent = 0, .policy = 1, .capacity = 0});
    cache.compact(parent, cache.statistics(parent));
    open(cache, {.sequence = 2, .parent = parent, .policy = 1, .capacity = kPrompt + kAnswer});
    if (forked) cache.release(0);
    std::vector<float> out = read(cache, {2, kDocument, kPrompt});
    for (std::uint32_t i = 0; i < kAnswer; ++i) {
      const auto row = read(cache, {2, kDocument + kPrompt + i, 1});
      out.insert(out.end(), row.begin(), row.end());
    }
    return out;
  }

 private:
  struct Open {
    std::uint32_t sequence = 0;
    std::uint32_t parent = kNoSequence;
    std::uint32_t policy = 0;
    std::uint32_t capacity = 0;
  };
  static void open(StageCache& cache, const Open& what) {
    Step step;
    step.kind = StepKind::kOpen;
    step.sequence = what.sequence;
    step.parent = what.parent;
    step.policy = what.policy;
    step.capacity = what.capacity;
    step.prompt_rows =
        what.parent == kNoSequence ? what.capacity : std::min(what.capacity, kPrompt);
    cache.open(step);
  }

  // What a row holds depends on its layer and position alone.
  std::vector<float> read(StageCache& cache, const SequenceRows& rows) {
    std::vector<std::int32_t> positions(rows.count);
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(rows.begin));
    std::vector<std::int32_t> rotations(rows.count);
    cache.begin({&rows, 1}, rotations);
    std::vector<float> all;
    for (std::size_t layer = 0; layer < model_.layers; ++layer) {
      const std::size_t wide = model_.q_width();
      const std::size_t narrow = model_.kv_width();
      std::vector<float> q = content(rows, layer, wide, 1);
      std::vector<float> k = content(rows, layer, narrow, 2);
      std::vector<float> v = content(rows, layer, narrow, 3);
      std::vector<float> out(rows.count * wide);
      std::vector<float> lse(rows.count * model_.q_heads);
      const std::size_t n = rows.count;
      cache.attend(layer, {&rows, 1}, positions, {q.data(), n, wide, wide},
                   {k.data(), n, narrow, narrow}, {v.data(), n, narrow, narrow},
                   {.q_heads = model_.q_heads, .scale = 1 / std::sqrt(8.0F)},
                   {{out.data(), n, wide, wide}, {lse.data(), n, model_.q_heads, model_.q_heads}});
      all.insert(all.end(), out.begin(), out.end());
    }
    cache.settle({&rows, 1});
    return all;
  }
  static std::vector<float> content(const SequenceRows& rows, std::size_t layer, std::size_t width,
                                    unsigned kind) {
    std::vector<float> data;
    for (std::uint32_t i = 0; i < rows.count; ++i) {
      std::mt19937 random((rows.begin + i) * 100 + static_cast<unsigned>(layer) * 10 + kind);
      std::normal_distribution<float> normal;
      for (std::size_t c = 0; c < width; ++c) data.push_back(normal(random));
    }
    return data;
  }

  ModelConfig model_ = tiny_model();
  std::unique_ptr<Ops> ops_ = make_ops("cpu", 1);
};

TEST_P(Branch, IsTheDocumentCompactedItself) {
  const std::vector<float> own = ask(false);
  ASSERT_THAT(own, testing::Each(testing::Truly([](float x) { return std::isfinite(x); })));
  EXPECT_EQ(ask(true), own);
}

INSTANTIATE_TEST_SUITE_P(Policies, Branch, testing::ValuesIn(all_cases()),
                         [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace varve
