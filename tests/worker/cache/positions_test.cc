// Positions of kept rows in both conventions, against a full recomputation: softmax in double over
// the rows that are left, each rotated from its plain key to the position that it should have.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "common/policy/presets.h"
#include "tests/support/small_config.h"
#include "worker/cache/stage_cache.h"

namespace varve {
namespace {

constexpr std::uint32_t kDocument = 90;
constexpr std::uint32_t kPrompt = 5;
constexpr std::uint32_t kAnswer = 7;
constexpr std::uint32_t kChunk = 10;
constexpr std::size_t kBudget = 32;
constexpr std::size_t kFirst = 3;
const std::vector<float> kFrequencies = {1.0F, 0.1F, 0.01F, 0.001F};

ModelConfig tiny_model() {
  return small_config(2, 8);
}

// Row, layer and kind decide; before rotation.
const std::vector<float>& content(std::size_t row, std::size_t layer, std::size_t width,
                                  unsigned kind) {
  static std::map<unsigned, std::vector<float>> made;
  const auto seed = static_cast<unsigned>(row * 100 + layer * 10) + kind;
  std::vector<float>& data = made[seed];
  if (!data.empty()) return data;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  data.resize(width);
  for (float& x : data) x = normal(random);
  return data;
}

void rotate(double* x, std::size_t position) {
  const std::size_t half = kFrequencies.size();
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = static_cast<double>(position) * static_cast<double>(kFrequencies[i]);
    const double a = x[i];
    const double b = x[i + half];
    x[i] = a * std::cos(angle) - b * std::sin(angle);
    x[i + half] = a * std::sin(angle) + b * std::cos(angle);
  }
}

std::vector<double> rotated(std::size_t row, std::size_t layer, std::size_t width, unsigned kind,
                            std::size_t position) {
  const std::vector<float>& plain = content(row, layer, width, kind);
  std::vector<double> x(plain.begin(), plain.end());
  for (std::size_t at = 0; at < width; at += 8) rotate(x.data() + at, position);
  return x;
}

struct Mode {
  std::string_view compaction;
  std::string_view decode;
  Positions positions;
};

class KeptPositions : public testing::TestWithParam<std::tuple<std::string, Mode>> {
 protected:
  // The first rows and the newest: which are left is known without any score.
  static PolicyConfig policy() {
    const Mode& mode = std::get<Mode>(GetParam());
    PolicyConfig policy = find_preset("streaming_llm")->policy;
    policy.budget = {Budget::Kind::kTokens, static_cast<double>(kBudget)};
    policy.keep_first = kFirst;
    policy.compaction = make_component(mode.compaction);
    if (mode.compaction == "per_chunk") policy.compaction.set("rows", 20);
    policy.decode = make_component(mode.decode);
    policy.positions = mode.positions;
    return policy;
  }

  void open(std::uint32_t sequence, std::uint32_t parent, std::uint32_t capacity,
            std::uint32_t prompt) {
    Step step;
    step.kind = StepKind::kOpen;
    step.sequence = sequence;
    step.parent = parent;
    step.capacity = capacity;
    step.prompt_rows = prompt;
    cache_.open(step);
  }

  // Rows [begin, begin + count) of the text; what each of them sees is compared. `left` holds the
  // rows that are left, before and after.
  void read(std::uint32_t sequence, std::uint32_t begin, std::uint32_t count,
            std::vector<std::size_t>& left) {
    const SequenceRows rows{sequence, begin, count};
    std::vector<std::int32_t> positions(count);
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(begin));
    std::vector<std::int32_t> rotations(count);
    cache_.begin({&rows, 1}, rotations);
    for (std::uint32_t i = 0; i < count; ++i) left.push_back(begin + i);
    for (std::size_t layer = 0; layer < model_.layers; ++layer) {
      const std::vector<float> out = attend(rows, positions, rotations, layer);
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::size_t seen = left.size() - count + i + 1;
        expect_row(out.data() + i * model_.q_width(), begin + i, layer, {left.data(), seen});
      }
    }
    cache_.settle({&rows, 1});
  }

  std::vector<float> attend(const SequenceRows& rows, std::span<const std::int32_t> positions,
                            std::span<const std::int32_t> rotations, std::size_t layer) {
    const std::size_t wide = model_.q_width();
    const std::size_t narrow = model_.kv_width();
    const std::size_t n = rows.count;
    std::vector<float> q, k, v;
    for (std::size_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(rotations[i]);
      for (const double x : rotated(rows.begin + i, layer, wide, 1, at)) {
        q.push_back(static_cast<float>(x));
      }
      for (const double x : rotated(rows.begin + i, layer, narrow, 2, at)) {
        k.push_back(static_cast<float>(x));
      }
      for (const float x : content(rows.begin + i, layer, narrow, 3)) v.push_back(x);
    }
    std::vector<float> out(n * wide);
    std::vector<float> lse(n * model_.q_heads);
    cache_.attend(layer, {&rows, 1}, positions, {q.data(), n, wide, wide},
                  {k.data(), n, narrow, narrow}, {v.data(), n, narrow, narrow},
                  {.q_heads = model_.q_heads, .scale = 1 / std::sqrt(8.0F)},
                  {{out.data(), n, wide, wide}, {lse.data(), n, model_.q_heads, model_.q_heads}});
    return out;
  }

  // `seen`: rows of the text, oldest first, the row itself last.
  void expect_row(const float* out, std::size_t row, std::size_t layer,
                  std::span<const std::size_t> seen) {
    const bool compact = policy().positions == Positions::kCompact;
    const auto position = [&](std::size_t i) { return compact ? i : seen[i]; };
    const std::vector<double> q =
        rotated(row, layer, model_.q_width(), 1, position(seen.size() - 1));
    for (std::size_t head = 0; head < model_.q_heads; ++head) {
      const std::size_t kv = head / 2;
      double total = 0;
      std::vector<double> sum(8);
      for (std::size_t i = 0; i < seen.size(); ++i) {
        const std::vector<double> k = rotated(seen[i], layer, model_.kv_width(), 2, position(i));
        const std::vector<float>& v = content(seen[i], layer, model_.kv_width(), 3);
        double dot = 0;
        for (std::size_t d = 0; d < 8; ++d) dot += q[head * 8 + d] * k[kv * 8 + d];
        const double weight = std::exp(dot / std::sqrt(8.0));
        total += weight;
        for (std::size_t d = 0; d < 8; ++d) sum[d] += weight * static_cast<double>(v[kv * 8 + d]);
      }
      for (std::size_t d = 0; d < 8; ++d) {
        ASSERT_NEAR(out[head * 8 + d], sum[d] / total, 2e-5)
            << "row " << row << ", layer " << layer << ", head " << head;
      }
    }
  }

  static void evict(std::vector<std::size_t>& left) {
    if (left.size() <= kBudget) return;
    left.erase(left.begin() + kFirst, left.end() - (kBudget - kFirst));
  }

  ModelConfig model_ = tiny_model();
  std::unique_ptr<Ops> ops_ = make_ops(std::get<std::string>(GetParam()), 1);
  StageCache cache_{model_,
                    {0, 2},
                    {.dtype = DType::kF32,
                     .policies = {policy()},
                     .inv_freq = kFrequencies,
                     .rows = kChunk,
                     .plain_slots = kDocument + kPrompt + kAnswer},
                    *ops_};
};

TEST_P(KeptPositions, AreThoseOfTheirConvention) {
  const PolicyConfig policy = this->policy();
  std::vector<std::size_t> left;
  open(0, kNoSequence, kDocument, kDocument);
  for (std::uint32_t at = 0; at < kDocument; at += kChunk) {
    read(0, at, kChunk, left);
    if (policy.compaction.name == "per_chunk" && (at + kChunk) % 20 == 0) evict(left);
  }
  cache_.compact(0, cache_.statistics(0));
  evict(left);
  open(1, 0, kPrompt + kAnswer, kPrompt);
  read(1, kDocument, kPrompt, left);
  for (std::uint32_t i = 0; i < kAnswer; ++i) {
    if (policy.decode.name == "one_pool") evict(left);
    read(1, kDocument + kPrompt + i, 1, left);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Modes, KeptPositions,
    testing::Combine(testing::Values("reference", "cpu"),
                     testing::Values(Mode{"after_document", "keep", Positions::kOriginal},
                                     Mode{"after_document", "keep", Positions::kCompact},
                                     Mode{"after_document", "one_pool", Positions::kOriginal},
                                     Mode{"after_document", "one_pool", Positions::kCompact},
                                     Mode{"per_chunk", "keep", Positions::kOriginal},
                                     Mode{"per_chunk", "keep", Positions::kCompact},
                                     Mode{"per_chunk", "one_pool", Positions::kOriginal},
                                     Mode{"per_chunk", "one_pool", Positions::kCompact})));

}  // namespace
}  // namespace varve
