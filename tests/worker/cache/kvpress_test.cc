// Kept sets of SmolLM2 over 4096 tokens of the Bible against NVIDIA's kvpress
// (tests/golden/kvpress_kept.safetensors). The rows must be the same but for those whose score lies
// so near the cut that float32 decides; README.md there says what a margin is.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>

#include "common/cores.h"
#include "common/policy/presets.h"
#include "tests/support/golden.h"
#include "worker/cache/compactor.h"
#include "worker/model/stage_model.h"

namespace varve {
namespace {

constexpr std::size_t kChunk = 512;

// Margins of rows that may be chosen otherwise. kvpress itself, in float64 instead of float32,
// moves rows with margins of up to 3.2e-6.
constexpr double kTie = 1e-5;

struct Press {
  std::string name;  // kvpress's
  std::string preset;
};

const std::array kPresses = {
    Press{"snapkv", "snapkv"},      Press{"streaming_llm", "streaming_llm"},
    Press{"tova", "tova"},          Press{"knorm", "knorm"},
    Press{"keydiff", "keydiff"},    Press{"expected_attention", "expected_attention"},
    Press{"adakv_snapkv", "adakv"}, Press{"adakv_expected_attention", "expected_attention"},
};
constexpr std::array kRatios = {0.5, 0.8, 0.9};

// The preset with kvpress's defaults, deciding once, when the document is read.
PolicyConfig policy_of(const Press& press) {
  PolicyConfig policy = find_preset(press.preset)->policy;
  policy.compaction = make_component("after_document");
  policy.decode = make_component("keep");
  if (press.name.ends_with("snapkv")) policy.scorer.set("window", 64);
  if (press.name.starts_with("adakv")) policy.allocation = make_component("per_head");
  return policy;
}

// A document's rows and what was observed, layer by layer, as a stage holds them.
class ReadDocument {
 public:
  ReadDocument(const std::string& path, std::span<const std::int32_t> tokens)
      : ops_(make_ops("auto", usable_cores())),
        header_(load_model_header(path)),
        config_(header_.config()),
        stage_(header_, {0, config_.layers}, kChunk, 1, *ops_),
        inv_freq_(rope_frequencies(config_)),
        compactor_(config_, *ops_, ledger_),
        back_(ops_->allocate(kChunk * config_.rope_dims * sizeof(float))),
        rows_(tokens.size()) {
    ObservedNeeds needs;
    for (const Press& press : kPresses) needs = needs | document_needs(policy_of(press));
    const SegmentShape shape = SegmentShape::even(config_, rows_, DType::kF32);
    for (std::size_t layer = 0; layer < config_.layers; ++layer) {
      segments_.push_back(std::make_unique<Segment>(shape, config_.head_dim, *ops_, ledger_));
      observed_.emplace_back(config_, needs, rows_, 4, *ops_);
    }
    for (std::size_t at = 0; at < rows_; at += kChunk) {
      read(tokens.subspan(at, std::min(kChunk, rows_ - at)), at);
    }
  }

  KeptRows kept(const PolicyConfig& policy, std::size_t layer, std::size_t budget) {
    const SegmentView segment = segments_[layer]->view();
    const LayerRows rows{.ops = *ops_,
                         .model = config_,
                         .params = params(std::nullopt),
                         .segments = {&segment, 1},
                         .observed = &observed_[layer],
                         .next_position = rows_,
                         .inv_freq = inv_freq_};
    const Protected sides = protected_rows(policy, budget);
    return compactor_.choose(*make_scorer(policy), policy.allocation, rows,
                             {budget, sides.first, sides.last});
  }
  std::size_t rows() const { return rows_; }
  std::size_t kv_heads() const { return config_.kv_heads; }

 private:
  AttendParams params(std::optional<std::size_t> window) const {
    return {.q_heads = config_.q_heads,
            .scale = 1 / std::sqrt(static_cast<float>(config_.head_dim)),
            .window = window};
  }

  void read(std::span<const std::int32_t> tokens, std::size_t first) {
    std::vector<std::int32_t> positions(tokens.size());
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first));
    std::vector<std::int32_t> negated(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) negated[i] = -positions[i];
    const Matrix back{back_.as<float>(), tokens.size(), config_.rope_dims, config_.rope_dims};
    ops_->rope_angles(negated, inv_freq_, back);
    stage_.embed(tokens);
    const RowRun run{positions.size(), Products::kFloat};  // as kvpress multiplies
    stage_.run(positions, {&run, 1},
               [&](std::size_t layer, ConstMatrix q, Matrix k, ConstMatrix v,
                   std::optional<std::size_t> window, Partial out) {
                 segments_[layer]->append(k, v, positions);
                 const AttendItem item{0, q.rows, segments_[layer]->view()};
                 ops_->clear(out);
                 ops_->attend(q, positions, {&item, 1}, params(window), out);
                 observed_[layer].observe({q, out.lse, positions, back}, {&item.segment, 1},
                                          params(window));
               });
  }

  std::unique_ptr<Ops> ops_;
  Model header_;
  const ModelConfig& config_;
  StageModel stage_;
  std::vector<float> inv_freq_;
  Ledger ledger_;
  Compactor compactor_;
  Buffer back_;  // angles that undo a step's rotations
  std::size_t rows_;
  std::vector<std::unique_ptr<Segment>> segments_;
  std::vector<Observed> observed_;
};

std::string set_name(const Press& press, double ratio) {
  return press.name + "/" + std::to_string(ratio).substr(0, 3);
}

// One press's kept sets at one ratio.
class KeptSets {
 public:
  KeptSets(const Golden& golden, const std::string& name, std::size_t heads, std::size_t rows)
      : bits_(golden.u8(name + "/kept")), heads_(heads), rows_(rows) {
    const auto near = golden.i32(name + "/near");
    const auto margin = golden.f32(name + "/near_margin");
    for (std::size_t i = 0; i < near.size(); ++i) {
      margins_[static_cast<std::size_t>(near[i])] = double{margin[i]};
    }
  }

  bool has(std::size_t layer, std::size_t head, std::size_t row) const {
    const std::size_t at = index(layer, head, row);
    return (bits_[at / 8] >> at % 8 & 1) != 0;
  }
  /// Infinite unless it is small.
  double margin(std::size_t layer, std::size_t head, std::size_t row) const {
    const auto found = margins_.find(index(layer, head, row));
    return found == margins_.end() ? std::numeric_limits<double>::infinity() : found->second;
  }

 private:
  std::size_t index(std::size_t layer, std::size_t head, std::size_t row) const {
    return (layer * heads_ + head) * rows_ + row;
  }

  std::span<const std::uint8_t> bits_;
  std::size_t heads_;
  std::size_t rows_;
  std::map<std::size_t, double> margins_;
};

// How our sets differ from theirs.
struct Difference {
  std::size_t rows = 0;
  double widest_margin = 0;

  void add(const KeptSets& theirs, const KeptRows& ours, std::size_t layer, std::size_t rows_in) {
    for (std::size_t head = 0; head < ours.heads.size(); ++head) {
      std::vector<bool> kept(rows_in);
      for (const std::uint32_t row : ours.heads[head]) kept[row] = true;
      for (std::size_t row = 0; row < rows_in; ++row) {
        if (kept[row] == theirs.has(layer, head, row)) continue;
        ++rows;
        widest_margin = std::max(widest_margin, theirs.margin(layer, head, row));
      }
    }
  }
};

TEST(Kvpress, KeepsTheSameRowsButForTies) {
  const char* path = std::getenv("VARVE_SMOLLM2");
  if (path == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
  const Golden bible = Golden::load(golden_folder() / "smollm2/bible.safetensors");
  const Golden golden = Golden::load(golden_folder() / "kvpress_kept.safetensors");
  const auto layers = golden.i32("layers");
  ReadDocument document(path, bible.i32("tokens"));
  for (const Press& press : kPresses) {
    for (const double ratio : kRatios) {
      const std::string name = set_name(press, ratio);
      const KeptSets theirs(golden, name, document.kv_heads(), document.rows());
      // As kvpress rounds it: down, of a share that is computed in double.
      const auto budget =
          static_cast<std::size_t>(static_cast<double>(document.rows()) * (1 - ratio));
      Difference difference;
      for (std::size_t i = 0; i < layers.size(); ++i) {
        const KeptRows ours =
            document.kept(policy_of(press), static_cast<std::size_t>(layers[i]), budget);
        std::size_t total = 0;
        for (const auto& head : ours.heads) total += head.size();
        EXPECT_EQ(total, budget * document.kv_heads()) << name;
        difference.add(theirs, ours, i, document.rows());
      }
      std::printf("%-30s %zu rows differ, widest margin %.2g\n", name.c_str(), difference.rows,
                  difference.widest_margin);
      EXPECT_LE(difference.widest_margin, kTie) << name;
    }
  }
}

}  // namespace
}  // namespace varve
