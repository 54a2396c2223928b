// The shape of a model for tests that need its counts and no weights.
#pragma once

#include "common/model/model_config.h"

namespace varve {

/// 4 query heads and 2 key heads of `head_dim`, all of which turns; a context of 4096.
inline ModelConfig small_config(std::size_t layers, std::size_t head_dim) {
  ModelConfig model;
  model.layers = layers;
  model.q_heads = 4;
  model.kv_heads = 2;
  model.head_dim = head_dim;
  model.rope_dims = head_dim;
  model.context = 4096;
  return model;
}

}  // namespace varve
