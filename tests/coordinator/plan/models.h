// Shapes to plan for.
#pragma once

#include <fmt/format.h>

#include "coordinator/plan/planner.h"

namespace varve::test {

/// SmolLM2-135M, its matrices in f16.
inline ModelConfig smollm2() {
  ModelConfig model;
  model.family = "llama";
  model.name = "SmolLM2-135M";
  model.layers = 30;
  model.hidden = 576;
  model.intermediate = 1536;
  model.q_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 64;
  model.vocab = 49152;
  model.context = 8192;
  model.rope_dims = 64;
  model.tied_embeddings = true;
  return model;
}

inline WeightBytes f16_weights(const ModelConfig& m) {
  const std::size_t layer =
      2 * m.hidden * (2 * m.q_width() + 2 * m.kv_width() + 3 * m.intermediate) + 4 * 2 * m.hidden;
  const std::size_t table = 2 * m.vocab * m.hidden;
  return {std::vector<std::size_t>(m.layers, layer), table, m.tied_embeddings ? 0 : table,
          4 * m.hidden};
}

/// A model small enough to try every cut of.
inline ModelConfig small_model(std::size_t layers) {
  ModelConfig model;
  model.family = "llama";
  model.name = "small";
  model.layers = layers;
  model.hidden = 32;
  model.intermediate = 80;
  model.q_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 8;
  model.vocab = 300;
  model.context = 4096;
  model.rope_dims = 8;
  return model;
}

inline JobDemand eight_questions() {
  JobDemand demand;
  demand.prefix_tokens = 3521;
  demand.document_tokens = 3490;
  for (std::size_t i = 1; i <= 8; ++i) {
    demand.questions.push_back({fmt::format("q{}", i), 20 + i, 64});
  }
  return demand;
}

}  // namespace varve::test
