// The layers of one stage, with the embedding if it is the first and the head if it is the last.
// Owns weights and workspace; the cache is reached through the `Attend` callable.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "common/plan/footprint.h"
#include "worker/model/model.h"

namespace varve {

class StageModel {
 public:
  /// `rows`: most rows of a step; `samples`: most rows of a step that need logits (last stage).
  /// `model` must outlive this.
  StageModel(const Model& model, LayerRange layers, std::size_t rows, std::size_t samples,
             Ops& ops);

  bool is_first() const { return layers_.begin == 0; }
  bool is_last() const { return layers_.end == model_.config().layers; }
  LayerRange layers() const { return layers_; }
  const ModelConfig& config() const { return model_.config(); }
  /// Of the tensors that this stage reads; those of the embedding once, even if tied.
  std::size_t weight_bytes() const { return weight_bytes_; }
  std::size_t workspace_bytes() const { return workspace_bytes_; }

  /// The residual stream [T, hidden] of the step at hand: the input of the first layer, after `run`
  /// the output of the last.
  Matrix residual(std::size_t rows) const;
  /// First stage: fills the residual from token ids. ids outside the vocabulary are a bug.
  void embed(std::span<const std::int32_t> tokens);
  /// Applies the stage's layers to the residual of positions.size() rows, as many as in `runs`.
  void run(std::span<const std::int32_t> positions, std::span<const RowRun> runs,
           const Attend& attend);
  /// Last stage: most rows of a call of `logits`.
  std::size_t samples() const { return logits_.rows; }
  /// Last stage: logits [n, vocab] of the given rows of the residual, in that order.
  Matrix logits(std::span<const std::size_t> rows);

 private:
  Matrix carve(std::size_t rows, std::size_t cols);
  void carve_workspace(std::size_t rows, std::size_t samples);
  LayerScratch scratch(std::size_t rows) const;

  const Model& model_;
  LayerRange layers_;
  Ops& ops_;
  Weight embedding_;   // [vocab, hidden], first stage, and last if tied
  Weight final_norm_;  // [hidden], last stage
  Weight head_;        // [vocab, hidden], last stage; unset where tied
  std::vector<std::unique_ptr<DecoderLayer>> decoder_;
  std::vector<float> inv_freq_;  // [rope_dims / 2]

  std::vector<Buffer> buffers_;
  std::size_t weight_bytes_ = 0;
  std::size_t workspace_bytes_ = 0;
  Matrix x_;       // [rows, hidden]
  Matrix angles_;  // [rows, rope_dims]
  Matrix logits_;  // [samples, vocab]
  LayerScratch full_;
};

/// The rotary frequencies theta^(-2i/R), i < R/2, with the model's scaling applied, in the float32
/// arithmetic of the reference implementation.
std::vector<float> rope_frequencies(const ModelConfig& config);

}  // namespace varve
