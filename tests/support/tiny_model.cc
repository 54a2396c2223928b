#include "tests/support/tiny_model.h"

#include <fmt/format.h>

#include "tests/support/gguf_writer.h"

namespace varve {
namespace {

constexpr std::size_t kHidden = 64;
constexpr std::size_t kKvWidth = 32;
constexpr std::size_t kIntermediate = 96;
constexpr std::size_t kVocab = 97;

class TinyModel {
 public:
  TinyModel(bool wide_heads, std::uint32_t layers) {
    w_.set("general.architecture", "llama").set("general.name", "tiny");
    w_.set("llama.block_count", layers).set("llama.embedding_length", 64U);
    w_.set("llama.feed_forward_length", 96U).set("llama.context_length", 4096U);
    w_.set("llama.attention.head_count", wide_heads ? 2U : 4U);
    w_.set("llama.attention.head_count_kv", wide_heads ? 1U : 2U);
    w_.set("llama.attention.layer_norm_rms_epsilon", 1e-5F).set("llama.rope.freq_base", 1e4F);
    w_.set("llama.vocab_size", 97U);
    matrix("token_embd.weight", kVocab, kHidden, DType::kQ8_0);
    vector("output_norm.weight", kHidden);
    for (std::uint32_t layer = 0; layer < layers; ++layer) add_layer(fmt::format("blk.{}.", layer));
  }
  const GgufWriter& writer() const { return w_; }

 private:
  void matrix(const std::string& name, std::size_t n, std::size_t k, DType dtype) {
    if (dtype == DType::kF16) {
      w_.tensor(name, {n, k}, random_values(n * k, ++seed_, 0.3F), dtype);
    } else {
      const float scale = dtype == DType::kQ8_0 ? 0.01F : 0.04F;
      w_.tensor(name, {n, k}, dtype, random_blocks(dtype, n * k, ++seed_, scale));
    }
  }
  void vector(const std::string& name, std::size_t n) {
    std::vector<float> gains = random_values(n, ++seed_, 0.2F);
    for (float& gain : gains) gain += 1;
    w_.tensor(name, {n}, gains);
  }
  void add_layer(const std::string& prefix) {
    vector(prefix + "attn_norm.weight", kHidden);
    matrix(prefix + "attn_q.weight", kHidden, kHidden, DType::kQ8_0);
    matrix(prefix + "attn_k.weight", kKvWidth, kHidden, DType::kQ8_0);
    matrix(prefix + "attn_v.weight", kKvWidth, kHidden, DType::kF16);
    matrix(prefix + "attn_output.weight", kHidden, kHidden, DType::kQ4_1);
    vector(prefix + "ffn_norm.weight", kHidden);
    matrix(prefix + "ffn_gate.weight", kIntermediate, kHidden, DType::kQ4_1);
    matrix(prefix + "ffn_up.weight", kIntermediate, kHidden, DType::kQ8_0);
    matrix(prefix + "ffn_down.weight", kHidden, kIntermediate, DType::kF16);
  }

  GgufWriter w_;
  std::uint64_t seed_ = 0;
};

}  // namespace

void write_tiny_model(const std::filesystem::path& path, bool wide_heads, std::uint32_t layers) {
  TinyModel(wide_heads, layers).writer().write(path);
}

}  // namespace varve
