// The hyperparameters of a decoder-only transformer, as read from a GGUF header or a Hugging Face
// config.json and checked once. Everything later (planner, worker) derives its sizes from here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace varve {

/// How the two halves of a rotated pair lie in a head's D elements. GGUF files of the llama family
/// store Q and K permuted for kInterleaved; Hugging Face files and the qwen GGUFs use kHalves.
enum class RopeLayout : std::uint8_t {
  kHalves,       // (x[i], x[i + D/2])
  kInterleaved,  // (x[2i], x[2i + 1])
};

/// Rescaling of rotary frequencies as Llama 3.1 defines it ("rope_type": "llama3").
struct Llama3RopeScaling {
  double factor = 8.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_context = 8192.0;
};

struct ModelConfig {
  std::string family;  // "llama", "mistral", "qwen2", "qwen3": a row of the family table
  std::string name;    // for people
  std::size_t layers = 0;
  std::size_t hidden = 0;        // width of the residual stream
  std::size_t intermediate = 0;  // width of the MLP
  std::size_t q_heads = 0;
  std::size_t kv_heads = 0;
  std::size_t head_dim = 0;
  std::size_t vocab = 0;
  std::size_t context = 0;  // tokens that the model was trained for
  double norm_eps = 1e-5;
  double rope_theta = 10000.0;
  std::size_t rope_dims = 0;  // rotated elements per head, <= head_dim
  RopeLayout rope_layout = RopeLayout::kHalves;
  std::optional<Llama3RopeScaling> llama3_scaling;
  /// Explicit divisors of the rotary frequencies [rope_dims / 2] (GGUF tensor rope_freqs), or
  /// empty.
  std::vector<float> rope_factors;
  std::optional<std::size_t> sliding_window;  // keys a query sees, itself included
  bool tied_embeddings = false;               // the head is the embedding table

  std::size_t q_width() const { return q_heads * head_dim; }
  std::size_t kv_width() const { return kv_heads * head_dim; }
};

}  // namespace varve
