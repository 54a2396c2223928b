// The smallest GGUF file that has something of everything.
#pragma once

#include <string>
#include <vector>

#include "tests/support/gguf_writer.h"

namespace varve {

inline GgufWriter small_gguf() {
  GgufWriter w;
  w.set("general.architecture", "llama").set("general.name", "small");
  w.set("llama.block_count", 1U).set("llama.embedding_length", 32U);
  w.set("llama.feed_forward_length", 64U).set("llama.context_length", 128U);
  w.set("llama.attention.head_count", 4U).set("llama.attention.head_count_kv", 2U);
  w.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  w.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "", "ccc"});
  w.set("tokenizer.ggml.scores", std::vector<float>{0.5F, -1.0F, 2.0F});
  w.tensor("token_embd.weight", {3, 32}, random_values(96, 1));
  w.tensor("blk.0.attn_q.weight", {2, 32}, DType::kQ4_1, random_blocks(DType::kQ4_1, 64, 2));
  w.tensor("output_norm.weight", {32}, random_values(32, 3), DType::kF16);
  return w;
}

}  // namespace varve
