#include "common/plan/footprint.h"

#include <algorithm>
#include <numeric>

#include "common/plan/cache_plan.h"

namespace varve {
namespace {

constexpr std::size_t kFloat = sizeof(float);

std::size_t stage_weights(const ModelConfig& model, const WeightBytes& weights, LayerRange layers) {
  const auto first = weights.layer.begin();
  std::size_t bytes =
      std::accumulate(first + static_cast<std::ptrdiff_t>(layers.begin),
                      first + static_cast<std::ptrdiff_t>(layers.end), std::size_t{0});
  const bool is_first = layers.begin == 0;
  const bool is_last = layers.end == model.layers;
  if (is_first || (is_last && model.tied_embeddings)) bytes += weights.embedding;
  if (is_last) bytes += weights.head + weights.final_norm;
  return bytes;
}

}  // namespace

std::size_t segment_bytes(const ModelConfig& model, std::size_t rows, DType dtype) {
  return 2 * model.kv_heads * rows * row_bytes(dtype, model.head_dim) + rows * sizeof(std::int32_t);
}

std::size_t JobShape::step_rows() const {
  return std::accumulate(probes.begin(), probes.end(), chunk);
}

WorkspaceBytes workspace_bytes(const ModelConfig& model, std::size_t rows, std::size_t samples,
                               bool last) {
  WorkspaceBytes bytes;
  bytes.residual = kFloat * rows * model.hidden;
  bytes.normed = kFloat * rows * model.hidden;
  bytes.attention = kFloat * rows * (2 * model.q_width() + 2 * model.kv_width() + model.q_heads);
  bytes.angles = kFloat * rows * model.rope_dims;
  bytes.mlp = kFloat * rows * 2 * model.intermediate;
  if (last) bytes.logits = kFloat * samples * model.vocab;
  return bytes;
}

std::size_t boundary_bytes(const ModelConfig& model, std::size_t rows) {
  return kFloat * rows * model.hidden;
}

std::size_t channel_bytes(const ModelConfig& model, LayerRange layers, const JobShape& job) {
  std::size_t steps = 0;
  if (layers.end < model.layers) steps += job.in_flight;
  if (layers.begin > 0) steps += arriving_slots(job.row_path);
  return steps * boundary_bytes(model, job.step_rows());
}

Footprint footprint(const ModelConfig& model, const WeightBytes& weights, LayerRange layers,
                    const JobShape& job, const CachePlan& caches) {
  const bool last = layers.end == model.layers;
  Footprint bytes;
  bytes.weights = stage_weights(model, weights, layers);
  bytes.kv = caches.peak(layers);
  bytes.workspace =
      workspace_bytes(model, job.step_rows(), std::min(job.chunk, job.parallel), last).total();
  bytes.channel = channel_bytes(model, layers, job);
  return bytes;
}

Footprint footprint(const ModelConfig& model, const WeightBytes& weights, LayerRange layers,
                    const JobShape& job) {
  return footprint(model, weights, layers, job, CachePlan(model, job));
}

}  // namespace varve
