// The most that the caches of an evaluation take, whatever its samples and their answers are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/model/model_config.h"
#include "common/plan/cache_plan.h"
#include "common/policy/policy_config.h"

namespace varve {

/// The most of each count over the samples of one task and length.
struct EvalShape {
  std::size_t document = 0;           // rows
  std::vector<OwnRows> questions;     // of each question
  std::vector<std::uint32_t> probes;  // tokens of each question's
};

class EvalMemory {
 public:
  struct Run {
    std::span<const PolicyConfig> policies;  // that are tried on each document
    std::span<const EvalShape> shapes;
    std::size_t chunk = 512;
    std::size_t parallel = 1;  // branches that are open at a time
    DType kv_dtype = DType::kF16;
  };
  EvalMemory(const ModelConfig& model, const Run& run);

  /// Orders' room for turned keys, and for the probes of a step.
  std::size_t plain_slots() const { return plain_slots_; }
  const std::vector<std::uint32_t>& probe_rows() const { return probe_rows_; }

  /// Cached rows, what is observed of them, and work memory, of a stage of these layers.
  std::size_t most(LayerRange layers) const;

 private:
  struct Document {
    bool shared = false;                           // by any policy
    CachePlan whole;                               // under the full cache
    std::vector<std::vector<CachePlan>> branches;  // by policy: its largest is what may be
  };
  Document document_of(const ModelConfig& model, const Run& run, const EvalShape& shape);
  std::size_t most(const Document& document, LayerRange layers) const;

  std::size_t parallel_;
  std::size_t plain_slots_ = 0;
  std::vector<std::uint32_t> probe_rows_;
  std::size_t work_ = 0;
  std::vector<Document> documents_;  // by shape
};

}  // namespace varve
