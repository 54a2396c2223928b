#include "worker/model/stage_model.h"

#include <numeric>

#include "common/error.h"

namespace varve {

StageModel::StageModel(const Model& model, LayerRange layers, std::size_t rows, std::size_t samples,
                       Ops& ops)
    : model_(model), layers_(layers), ops_(ops), inv_freq_(rope_frequencies(model.config())) {
  const ModelConfig& c = model.config();
  VARVE_CHECK(layers.begin < layers.end && layers.end <= c.layers, "layers [{}, {}) of {}",
              layers.begin, layers.end, c.layers);
  LayerTensors own(model.files, ops, std::nullopt);
  if (is_first() || (is_last() && c.tied_embeddings)) {
    embedding_ = own.matrix("token_embd.weight", c.vocab, c.hidden);
  }
  if (is_last()) {
    final_norm_ = own.vector("output_norm.weight", c.hidden);
    if (!c.tied_embeddings) head_ = own.matrix("output.weight", c.vocab, c.hidden);
  }
  weight_bytes_ = own.bytes();
  for (std::size_t layer = layers.begin; layer < layers.end; ++layer) {
    LayerTensors tensors(model.files, ops, layer);
    decoder_.push_back(model.family->load(layer, c, tensors));
    tensors.expect_all_used(model.family->name);
    weight_bytes_ += tensors.bytes();
  }
  carve_workspace(rows, samples);
}

Matrix StageModel::carve(std::size_t rows, std::size_t cols) {
  buffers_.push_back(ops_.allocate(rows * cols * sizeof(float)));
  workspace_bytes_ += rows * cols * sizeof(float);
  return {buffers_.back().as<float>(), rows, cols, cols};
}

void StageModel::carve_workspace(std::size_t rows, std::size_t samples) {
  const ModelConfig& c = model_.config();
  x_ = carve(rows, c.hidden);
  full_.h = carve(rows, c.hidden);
  full_.q = carve(rows, c.q_width());
  full_.k = carve(rows, c.kv_width());
  full_.v = carve(rows, c.kv_width());
  full_.o = {carve(rows, c.q_width()), carve(rows, c.q_heads)};
  angles_ = carve(rows, c.rope_dims);
  full_.gate = carve(rows, c.intermediate);
  full_.up = carve(rows, c.intermediate);
  if (is_last()) logits_ = carve(samples, c.vocab);
  const std::size_t planned = varve::workspace_bytes(c, rows, samples, is_last()).total();
  VARVE_CHECK(workspace_bytes_ == planned, "workspace of {} bytes, planned {}", workspace_bytes_,
              planned);
}

LayerScratch StageModel::scratch(std::size_t rows) const {
  const auto top = [rows](Matrix m) { return m.slice(0, rows); };
  return {.h = top(full_.h),
          .q = top(full_.q),
          .k = top(full_.k),
          .v = top(full_.v),
          .o = {top(full_.o.out), top(full_.o.lse)},
          .gate = top(full_.gate),
          .up = top(full_.up)};
}

Matrix StageModel::residual(std::size_t rows) const {
  VARVE_CHECK(rows <= x_.rows, "{} rows in a workspace of {}", rows, x_.rows);
  return x_.slice(0, rows);
}

void StageModel::embed(std::span<const std::int32_t> tokens) {
  ops_.embed(tokens, embedding_, residual(tokens.size()));
}

void StageModel::run(std::span<const std::int32_t> positions, std::span<const RowRun> runs,
                     const Attend& attend) {
  const std::size_t rows = positions.size();
  const auto add = [](std::size_t sum, const RowRun& run) { return sum + run.rows; };
  VARVE_CHECK(std::accumulate(runs.begin(), runs.end(), std::size_t{0}, add) == rows,
              "{} runs of other than {} rows", runs.size(), rows);
  const Matrix x = residual(rows);
  const Matrix angles = angles_.slice(0, rows);
  ops_.rope_angles(positions, inv_freq_, angles);
  const LayerContext context{.ops = ops_,
                             .config = model_.config(),
                             .scratch = scratch(rows),
                             .angles = angles,
                             .runs = runs,
                             .attend = attend};
  for (const auto& layer : decoder_) layer->forward(context, x);
}

Matrix StageModel::logits(std::span<const std::size_t> rows) {
  VARVE_CHECK(is_last() && rows.size() <= logits_.rows, "{} rows of logits, room for {}",
              rows.size(), logits_.rows);
  const ModelConfig& c = model_.config();
  const Matrix normed = full_.h.slice(0, rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ops_.rms_norm(x_.slice(rows[i], 1), final_norm_, c.norm_eps, normed.slice(i, 1));
  }
  const Matrix out = logits_.slice(0, rows.size());
  ops_.linear(normed, {c.tied_embeddings ? embedding_ : head_, out});
  return out;
}

}  // namespace varve
