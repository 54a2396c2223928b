// random_model FILE: a GGUF file with the shape of Llama-3.1-8B and random weights in q8_0, for
// speeds. 8.5 GB.
#include <fmt/format.h>

#include <cstdio>

#include "tests/support/gguf_writer.h"

namespace varve {
namespace {

constexpr std::size_t kHidden = 4096;
constexpr std::size_t kKeys = 1024;
constexpr std::size_t kFeedForward = 14336;
constexpr std::size_t kVocabulary = 128256;
constexpr std::uint32_t kLayers = 32;

class Model {
 public:
  GgufWriter make() {
    w_.set("general.architecture", "llama").set("general.name", "random 8B");
    w_.set("llama.block_count", kLayers).set("llama.context_length", 131072U);
    w_.set("llama.embedding_length", static_cast<std::uint32_t>(kHidden));
    w_.set("llama.feed_forward_length", static_cast<std::uint32_t>(kFeedForward));
    w_.set("llama.attention.head_count", 32U).set("llama.attention.head_count_kv", 8U);
    w_.set("llama.attention.layer_norm_rms_epsilon", 1e-5F).set("llama.rope.freq_base", 5e5F);
    matrix("token_embd.weight", kVocabulary, kHidden);
    vector("output_norm.weight", kHidden);
    matrix("output.weight", kVocabulary, kHidden);
    for (std::uint32_t i = 0; i < kLayers; ++i) layer(fmt::format("blk.{}.", i));
    return std::move(w_);
  }

 private:
  void matrix(const std::string& name, std::size_t rows, std::size_t cols) {
    w_.tensor(name, {rows, cols}, DType::kQ8_0,
              random_blocks(DType::kQ8_0, rows * cols, ++seed_, 0.0003F));
  }
  void vector(const std::string& name, std::size_t size) {
    w_.tensor(name, {size}, std::vector<float>(size, 1.0F));
  }
  void layer(const std::string& prefix) {
    vector(prefix + "attn_norm.weight", kHidden);
    matrix(prefix + "attn_q.weight", kHidden, kHidden);
    matrix(prefix + "attn_k.weight", kKeys, kHidden);
    matrix(prefix + "attn_v.weight", kKeys, kHidden);
    matrix(prefix + "attn_output.weight", kHidden, kHidden);
    vector(prefix + "ffn_norm.weight", kHidden);
    matrix(prefix + "ffn_gate.weight", kFeedForward, kHidden);
    matrix(prefix + "ffn_up.weight", kFeedForward, kHidden);
    matrix(prefix + "ffn_down.weight", kHidden, kFeedForward);
  }

  GgufWriter w_;
  std::uint64_t seed_ = 0;
};

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: random_model FILE\n");
    return 2;
  }
  varve::Model().make().write(argv[1]);
}
