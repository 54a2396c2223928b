#include "common/model/gguf_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <variant>

#include "tests/support/gguf_writer.h"
#include "tests/support/io_error.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

using Value = std::variant<std::uint32_t, float, std::string, bool, std::vector<std::int32_t>,
                           std::vector<std::string>>;
using Keys = std::map<std::string, Value>;

// What a model of 2 layers says of itself.
Keys usual(const std::string& arch = "llama") {
  return {{"general.architecture", arch},
          {"general.name", "tiny"},
          {arch + ".block_count", 2U},
          {arch + ".embedding_length", 96U},
          {arch + ".feed_forward_length", 160U},
          {arch + ".context_length", 2048U},
          {arch + ".attention.head_count", 6U},
          {arch + ".attention.head_count_kv", 3U},
          {arch + ".attention.layer_norm_rms_epsilon", 1e-6F},
          {"tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "c", "d"}}};
}

GgufWriter writer_of(const Keys& keys) {
  GgufWriter w;
  for (const auto& [key, value] : keys) {
    std::visit([&, &name = key](const auto& v) { w.set(name, v); }, value);
  }
  return w;
}

ModelConfig read(const GgufWriter& writer) {
  const auto bytes = writer.bytes();
  return read_gguf_config(*GgufFile::from_bytes(bytes, "m.gguf"), "file name");
}

ModelConfig read(const Keys& keys) {
  return read(writer_of(keys));
}

std::string message(const Keys& keys) {
  return io_error([&] { read(keys); });
}

// The usual keys with these instead.
Keys with(Keys changes, const std::string& arch = "llama") {
  changes.merge(usual(arch));
  return changes;
}

TEST(GgufConfig, ReadsWhatTheFileSays) {
  const ModelConfig c = read(usual());
  EXPECT_EQ(c.family, "llama");
  EXPECT_EQ(c.name, "tiny");
  EXPECT_EQ(c.layers, 2U);
  EXPECT_EQ(c.hidden, 96U);
  EXPECT_EQ(c.intermediate, 160U);
  EXPECT_EQ(c.context, 2048U);
  EXPECT_EQ(c.q_heads, 6U);
  EXPECT_EQ(c.kv_heads, 3U);
  EXPECT_EQ(c.head_dim, 16U);
  EXPECT_EQ(c.vocab, 4U);
  EXPECT_FLOAT_EQ(static_cast<float>(c.norm_eps), 1e-6F);
  EXPECT_EQ(c.rope_theta, 10000.0);
  EXPECT_EQ(c.rope_dims, 16U);
  EXPECT_EQ(c.rope_layout, RopeLayout::kInterleaved);
  EXPECT_FALSE(c.llama3_scaling.has_value());
  EXPECT_TRUE(c.rope_factors.empty());
  EXPECT_EQ(c.sliding_window, std::nullopt);
  EXPECT_TRUE(c.tied_embeddings);
}

TEST(GgufConfig, ReadsTheOptionalKeys) {
  const ModelConfig c = read(with({{"qwen3.attention.key_length", 20U},
                                   {"qwen3.attention.value_length", 20U},
                                   {"qwen3.rope.dimension_count", 8U},
                                   {"qwen3.rope.freq_base", 1e6F},
                                   {"qwen3.rope.scaling.type", "none"},
                                   {"qwen3.vocab_size", 5U},
                                   {"qwen3.attention.sliding_window", 100U},
                                   {"qwen3.expert_count", 0U}},
                                  "qwen3"));
  EXPECT_EQ(c.family, "qwen3");
  EXPECT_EQ(c.head_dim, 20U);
  EXPECT_EQ(c.rope_dims, 8U);
  EXPECT_EQ(c.rope_theta, 1e6);
  EXPECT_EQ(c.vocab, 5U);
  EXPECT_THAT(c.sliding_window, Optional(100U));
  EXPECT_EQ(c.rope_layout, RopeLayout::kHalves);
}

TEST(GgufConfig, AbsentKeysHaveTheirDefaults) {
  Keys keys = usual();
  keys.erase("llama.attention.head_count_kv");
  keys.erase("general.name");
  const ModelConfig c = read(with({{"llama.attention.sliding_window", 0U}}));
  EXPECT_EQ(c.sliding_window, std::nullopt);
  EXPECT_EQ(read(keys).kv_heads, 6U);
  EXPECT_EQ(read(keys).name, "file name");
}

TEST(GgufConfig, ALlamaMayHaveAWindow) {
  const ModelConfig c = read(with({{"llama.attention.sliding_window", 100U}}));
  EXPECT_THAT(c.sliding_window, Optional(100U));
}

TEST(GgufConfig, TensorsTellTiedEmbeddingsAndRopeFactors) {
  GgufWriter w = writer_of(usual());
  w.tensor("output.weight", {4, 96}, random_values(384, 1));
  w.tensor("rope_freqs.weight", {8}, std::vector<float>{1, 1, 2, 3, 4, 5, 6, 8});
  const ModelConfig c = read(w);
  EXPECT_FALSE(c.tied_embeddings);
  EXPECT_THAT(c.rope_factors, ElementsAre(1, 1, 2, 3, 4, 5, 6, 8));
}

TEST(GgufConfig, RefusesWrongRopeFactors) {
  const auto with_factors = [](std::vector<std::size_t> shape, std::vector<float> factors,
                               DType dtype = DType::kF32) {
    GgufWriter w = writer_of(usual());
    w.tensor("rope_freqs.weight", std::move(shape), factors, dtype);
    return io_error([&] { read(w); });
  };
  EXPECT_EQ(with_factors({4}, {1, 1, 1, 1}),
            "m.gguf: tensor rope_freqs.weight: has 4 elements; one per rotated pair, 8, would be "
            "right");
  EXPECT_EQ(with_factors({8}, {1, 1, 1, 0, 1, 1, 1, 1}),
            "m.gguf: tensor rope_freqs.weight: has elements that are not finite and above 0");
  EXPECT_EQ(with_factors({2, 4}, {1, 1, 1, 1, 1, 1, 1, 1}),
            "m.gguf: tensor rope_freqs.weight: one dimension of F32 would be right");
  EXPECT_THAT(with_factors({8}, {1, 1, 1, 1, 1, 1, 1, 1}, DType::kF16),
              HasSubstr("one dimension of F32 would be right"));
}

TEST(GgufConfig, NumbersPerLayerMustBeEqual) {
  using I32s = std::vector<std::int32_t>;
  EXPECT_EQ(read(with({{"llama.attention.head_count_kv", I32s{2, 2}}})).kv_heads, 2U);
  EXPECT_EQ(message(with({{"llama.attention.head_count_kv", I32s{2, 3}}})),
            "m.gguf: llama.attention.head_count_kv: is array of 2 i32; an integer from 1 to 65536 "
            "would be right");
}

TEST(GgufConfig, TheArchitectureMustBeNamed) {
  Keys keys = usual();
  keys.erase("general.architecture");
  EXPECT_EQ(message(keys),
            "m.gguf: key 'general.architecture' is missing; a model's file says its family there");
  EXPECT_EQ(message(with({{"general.architecture", 7U}})),
            "m.gguf: key 'general.architecture' is u32 7; a string would be right");
}

TEST(GgufConfig, ListsAllProblemsAtOnce) {
  Keys keys = with({{"llama.block_count", "two"},
                    {"llama.embedding_length", 0U},
                    {"llama.context_length", 4000000000U},
                    {"llama.attention.layer_norm_rms_epsilon", -1.0F}});
  keys.erase("llama.feed_forward_length");
  EXPECT_EQ(
      message(keys),
      "m.gguf: 5 problems:\n"
      "  llama.block_count: is string 'two'; an integer from 1 to 10000 would be right\n"
      "  llama.embedding_length: is 0; an integer from 1 to 16777216 would be right\n"
      "  llama.feed_forward_length: is missing; an integer from 1 to 16777216 would be right\n"
      "  llama.context_length: is 4000000000; an integer from 1 to 1073741824 would be right\n"
      "  llama.attention.layer_norm_rms_epsilon: is -1; a number above 0, at most 1 would be "
      "right");
}

TEST(GgufConfig, ChecksRelations) {
  EXPECT_EQ(message(with({{"llama.attention.head_count_kv", 4U}})),
            "m.gguf: llama.attention.head_count_kv: is 4, which does not divide the 6 heads of "
            "llama.attention.head_count");
  EXPECT_EQ(message(with({{"llama.embedding_length", 100U}})),
            "m.gguf: llama.attention.key_length: is missing, and 6 heads do not divide the width "
            "100");
  EXPECT_THAT(message(with({{"llama.attention.key_length", 17U}})),
              HasSubstr("llama.attention.key_length: is 17; an even number would be right"));
  EXPECT_EQ(message(with({{"llama.rope.dimension_count", 18U}})),
            "m.gguf: llama.rope.dimension_count: gives 18 rotated elements; an even number up to "
            "the 16 of a head would be right");
  EXPECT_THAT(message(with({{"llama.attention.value_length", 8U}})),
              HasSubstr("llama.attention.value_length: is 8; the 16 of the keys would be right"));
}

TEST(GgufConfig, ChecksTheVocabulary) {
  EXPECT_EQ(message(with({{"llama.vocab_size", 3U}})),
            "m.gguf: llama.vocab_size: is 3, but tokenizer.ggml.tokens has 4");
  Keys keys = usual();
  keys.erase("tokenizer.ggml.tokens");
  EXPECT_EQ(message(keys),
            "m.gguf: tokenizer.ggml.tokens: has 0 tokens; 1 to 16777216 would be right, or a "
            "llama.vocab_size");
  keys["llama.vocab_size"] = 9U;
  EXPECT_EQ(read(keys).vocab, 9U);
}

TEST(GgufConfig, RefusesWhatNoFamilyComputes) {
  EXPECT_EQ(message(with({{"llama.expert_count", 8U}})),
            "m.gguf: llama.expert_count: is 8; mixtures of experts are not supported");
  EXPECT_EQ(message(with({{"llama.rope.scaling.type", "yarn"}})),
            "m.gguf: llama.rope.scaling.type: is 'yarn'; known are 'none' and the tensor "
            "rope_freqs.weight of Llama 3");
  EXPECT_EQ(message(with({{"llama.rope.scale_linear", 4.0F}})),
            "m.gguf: llama.rope.scale_linear: is not 1; linear scaling is not supported");
  EXPECT_THAT(message(with({{"split.count", 3U}})),
              HasSubstr("split.count: is 3: the file is one part of a split model"));
}

}  // namespace
}  // namespace varve
