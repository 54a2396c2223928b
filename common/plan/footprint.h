// Memory is planned, not paged: the bytes that a stage will hold, line by line. The planner prints
// these numbers and the worker allocates from the same functions, so they cannot drift apart.
#pragma once

#include <cstddef>
#include <vector>

#include "common/dtype.h"
#include "common/model/model_config.h"
#include "common/plan/row_path.h"
#include "common/policy/policy_config.h"
#include "common/policy/sequence_rows.h"

namespace varve {

/// A run of layers [begin, end) of a model. A stage is never empty.
struct LayerRange {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t count() const { return end - begin; }
  bool operator==(const LayerRange&) const = default;
};

/// Bytes of a model's tensors, by where they are needed.
struct WeightBytes {
  std::vector<std::size_t> layer;  // [layers]
  std::size_t embedding = 0;       // first stage; also the last where the head is tied to it
  std::size_t head = 0;            // last stage; 0 where tied
  std::size_t final_norm = 0;      // last stage
};

/// What a job asks of the caches: counts of rows, known before it starts.
struct JobShape {
  std::size_t prefix_rows = 0;     // the document and what stands before it
  std::vector<OwnRows> questions;  // own rows of each
  std::size_t parallel = 1;        // questions that hold rows at the same time
  std::size_t chunk = 512;         // most rows of a step, but probes
  std::size_t in_flight = 2;       // most activations under way on a boundary
  RowPath row_path = RowPath::kHost;
  DType kv_dtype = DType::kF16;
  PolicyConfig policy{};
  std::vector<std::uint32_t> probes{};  // rows of each probe that rides behind a chunk
  ObservedNeeds observed{};  // of a document that is read whole, by others than the policy

  /// Most rows of a step.
  std::size_t step_rows() const;
};

/// One layer's segment of `rows` rows: keys and values [Hkv, rows, D] and positions [rows].
std::size_t segment_bytes(const ModelConfig& model, std::size_t rows, DType dtype);

/// The float32 matrices that a stage computes in, for steps of up to `rows` rows.
struct WorkspaceBytes {
  std::size_t residual = 0;   // x [T, hidden]
  std::size_t normed = 0;     // [T, hidden]
  std::size_t attention = 0;  // q, k, v, out [T, heads * D], lse [T, Hq]
  std::size_t angles = 0;     // cos and sin [T, rope_dims]
  std::size_t mlp = 0;        // gate and up [T, intermediate]
  std::size_t logits = 0;     // [samples, vocab], last stage alone
  std::size_t total() const { return residual + normed + attention + angles + mlp + logits; }
};
/// `samples`: most rows of a step that yield a token.
WorkspaceBytes workspace_bytes(const ModelConfig& model, std::size_t rows, std::size_t samples,
                               bool last);

/// Bytes of the activations that cross a stage boundary with a step of `rows` rows.
std::size_t boundary_bytes(const ModelConfig& model, std::size_t rows);

/// What a stage holds of activations beside its workspace: in_flight steps for the next stage,
/// unless it is the last, and what its row path takes of those from the one before.
std::size_t channel_bytes(const ModelConfig& model, LayerRange layers, const JobShape& job);

struct Footprint {
  std::size_t weights = 0;  // in the form that the backend holds them in
  std::size_t kv = 0;       // at its peak (cache_plan.h)
  std::size_t workspace = 0;
  std::size_t channel = 0;  // activations that wait to be sent, and that have arrived
  std::size_t total() const { return weights + kv + workspace + channel; }
};

class CachePlan;

/// `caches` is the job's CachePlan, which is the same for all ranges of layers.
Footprint footprint(const ModelConfig& model, const WeightBytes& weights, LayerRange layers,
                    const JobShape& job, const CachePlan& caches);
Footprint footprint(const ModelConfig& model, const WeightBytes& weights, LayerRange layers,
                    const JobShape& job);

}  // namespace varve
