#include "tests/cli/small_model.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "common/text/byte_alphabet.h"

namespace varve {
namespace {

constexpr std::size_t kHidden = 32;
constexpr std::size_t kKvWidth = 16;
constexpr std::size_t kIntermediate = 48;
constexpr std::size_t kVocab = 257;  // the bytes, and one that ends an answer

class SmallModel {
 public:
  SmallModel(const std::set<std::string>& without, std::uint32_t layers) : without_(without) {
    key("general.architecture", "llama");
    key("general.name", "small");
    key("llama.block_count", layers);
    key("llama.context_length", static_cast<std::uint32_t>(kSmallContext));
    key("llama.embedding_length", static_cast<std::uint32_t>(kHidden));
    key("llama.feed_forward_length", static_cast<std::uint32_t>(kIntermediate));
    key("llama.attention.head_count", 2U);
    key("llama.attention.head_count_kv", 1U);
    key("llama.attention.layer_norm_rms_epsilon", 1e-5F);
    add_tokenizer();
    tensor("token_embd.weight", {kVocab, kHidden});
    tensor("output_norm.weight", {kHidden});
    for (std::uint32_t i = 0; i < layers; ++i) add_layer(fmt::format("blk.{}.", i));
  }
  GgufWriter take() { return std::move(w_); }

 private:
  template <class T>
  void key(const std::string& name, const T& value) {
    if (!without_.contains(name)) w_.set(name, value);
  }
  void tensor(const std::string& name, const std::vector<std::size_t>& shape) {
    std::size_t count = 1;
    for (const std::size_t n : shape) count *= n;
    if (!without_.contains(name)) w_.tensor(name, shape, random_values(count, ++seed_, 0.2F));
  }
  void add_tokenizer() {
    std::vector<std::string> tokens;
    for (unsigned byte = 0; byte < 256; ++byte) {
      tokens.push_back(spell_bytes(std::string(1, static_cast<char>(byte))));
    }
    tokens.push_back("<end>");
    std::vector<std::int32_t> types(kVocab, 1);
    types.back() = 3;
    key("tokenizer.ggml.model", "gpt2");
    key("tokenizer.ggml.pre", "gpt-2");
    key("tokenizer.ggml.tokens", tokens);
    key("tokenizer.ggml.token_type", types);
    key("tokenizer.ggml.merges", std::vector<std::string>{});
    key("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(kVocab - 1));
  }
  void add_layer(const std::string& prefix) {
    tensor(prefix + "attn_norm.weight", {kHidden});
    tensor(prefix + "attn_q.weight", {kHidden, kHidden});
    tensor(prefix + "attn_k.weight", {kKvWidth, kHidden});
    tensor(prefix + "attn_v.weight", {kKvWidth, kHidden});
    tensor(prefix + "attn_output.weight", {kHidden, kHidden});
    tensor(prefix + "ffn_norm.weight", {kHidden});
    tensor(prefix + "ffn_gate.weight", {kIntermediate, kHidden});
    tensor(prefix + "ffn_up.weight", {kIntermediate, kHidden});
    tensor(prefix + "ffn_down.weight", {kHidden, kIntermediate});
  }

  std::set<std::string> without_;
  GgufWriter w_;
  std::uint64_t seed_ = 0;
};

}  // namespace

GgufWriter small_model(const std::set<std::string>& without, std::uint32_t layers) {
  return SmallModel(without, layers).take();
}

}  // namespace varve
