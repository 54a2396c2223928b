// make_seeds FOLDER: writes valid small files to FOLDER/fuzz_gguf and FOLDER/fuzz_safetensors, for
// the fuzzers to begin with.
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/gguf_writer.h"
#include "tests/support/safetensors_writer.h"

namespace varve {
namespace {

namespace fs = std::filesystem;

GgufWriter hyperparameters() {
  GgufWriter w;
  w.set("general.architecture", "llama").set("general.name", "seed");
  w.set("llama.block_count", 1U).set("llama.embedding_length", 32U);
  w.set("llama.feed_forward_length", 64U).set("llama.context_length", 128U);
  w.set("llama.attention.head_count", 4U);
  w.set("llama.attention.head_count_kv", std::vector<std::int32_t>{2});
  w.set("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  w.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "", "ccc"});
  return w;
}

void write_gguf(const fs::path& folder) {
  fs::create_directories(folder);
  GgufWriter model = hyperparameters();
  model.tensor("token_embd.weight", {3, 32}, random_values(96, 1), DType::kF16);
  model.tensor("blk.0.attn_q.weight", {1, 32}, DType::kQ4_1, random_blocks(DType::kQ4_1, 32, 2));
  model.tensor("rope_freqs.weight", {4}, std::vector<float>{1, 1, 2, 8});
  model.write(folder / "model");

  GgufWriter values;
  values.alignment(8).set("u8", std::uint8_t{1}).set("i64", std::int64_t{-1}).set("f64", 0.5);
  values.set("b", true).set("u16s", std::vector<std::uint16_t>{1, 2});
  ByteBuffer nested;  // [["x"]]
  nested.put(9U).put(std::uint64_t{1}).put(8U).put(std::uint64_t{1}).put_string("x");
  values.set_raw("nested", 9, nested.bytes());
  values.write(folder / "values");
}

void write_safetensors(const fs::path& folder) {
  fs::create_directories(folder);
  SafetensorsWriter w;
  w.set("format", "pt").tensor("a", {2, 3}, random_values(6, 1));
  w.tensor("b", {3}, random_values(3, 2), DType::kBF16).tensor("c", {}, random_values(1, 3));
  w.tensor("ids", {1}, "I64", std::vector<std::byte>(8)).write(folder / "model");
  constexpr std::string_view kConfig =
      R"({"model_type":"qwen3","num_hidden_layers":2,"hidden_size":8,"intermediate_size":16,)"
      R"("num_attention_heads":2,"head_dim":4,"max_position_embeddings":64,"vocab_size":5,)"
      R"("rms_norm_eps":1e-6,"use_sliding_window":true,"sliding_window":8,"max_window_layers":0,)"
      R"("layer_types":["sliding_attention","sliding_attention"],"rope_parameters":{)"
      R"("rope_theta":1e4,"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,)"
      R"("high_freq_factor":4.0,"original_max_position_embeddings":32}})";
  write_file(folder / "config", std::as_bytes(std::span(kConfig)));
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_seeds FOLDER\n", stderr);
    return 2;
  }
  varve::write_gguf(std::filesystem::path(argv[1]) / "fuzz_gguf");
  varve::write_safetensors(std::filesystem::path(argv[1]) / "fuzz_safetensors");
  return 0;
}
