// Models that are no models, broken ones, and ones that varve does not compute, through the
// program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>

#include "tests/cli/job_folder.h"
#include "tests/support/golden.h"
#include "tests/support/safetensors_writer.h"

namespace varve {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class BadModel : public JobFolder {
 protected:
  /// What the program says, once, of the model.
  std::string report(const std::string& verb = "plan") {
    const Ended ended = run(verb);
    EXPECT_EQ(ended.code, 2);
    EXPECT_EQ(ended.out, "");
    EXPECT_THAT(ended.err, StartsWith("varve: "));
    return ended.err.substr(std::min<std::size_t>(7, ended.err.size()));
  }
  std::string report_of(const GgufWriter& writer) {
    writer.write(folder_ / "m.gguf");
    return report();
  }
  std::string report_of(std::span<const std::byte> bytes) {
    write_file(folder_ / "m.gguf", bytes);
    return report();
  }
  void use_model(const std::string& model) {
    write("job.yaml", "model: " + model + "\ndocument: d.txt\nquestions: [a]\n");
  }
};

TEST_F(BadModel, WhatIsNoFileOfAModel) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  fs::create_directory(folder_ / "folder");
  fs::create_symlink("loop", folder_ / "loop");
  write("empty.gguf", "");
  write("text.gguf", "This is a text.");
  const auto of = [&](const char* model) {
    use_model(model);
    return report();
  };
  EXPECT_EQ(of("none.gguf"), "job.yaml:1:1: model: none.gguf: no such file\n");
  EXPECT_EQ(of("pipe"), "job.yaml:1:1: model: pipe: is a pipe, not a file\n");
  EXPECT_EQ(of("/dev/zero"), "job.yaml:1:1: model: /dev/zero: is a device, not a file\n");
  EXPECT_EQ(of("loop"),
            "job.yaml:1:1: model: loop: cannot be opened: Too many levels of symbolic links\n");
  EXPECT_EQ(of("empty.gguf"), "empty.gguf: is empty\n");
  EXPECT_EQ(of("text.gguf"),
            "text.gguf: byte 0: begins with 'This'; a GGUF file begins with 'GGUF'\n");
  EXPECT_EQ(of("folder"), "folder: has no config.json; a model's directory has one\n");
  EXPECT_THAT(of("."), EndsWith(": has no config.json; a model's directory has one (it has "
                                "empty.gguf: name that file itself)\n"));
}

TEST_F(BadModel, GgufThatIsTruncated) {
  const std::vector<std::byte> whole = small_model().bytes();
  const auto first = [&](std::size_t count) { return report_of(std::span(whole).first(count)); };
  EXPECT_EQ(first(3),
            "m.gguf: byte 0: the magic number takes 4 bytes, but the file ends after 3 more; the "
            "file is truncated or corrupt\n");
  EXPECT_EQ(first(200),
            "m.gguf: byte 24: 15 metadata entries cannot follow: the file ends after 176 more "
            "bytes and each takes at least 14\n");
  EXPECT_EQ(
      first(whole.size() - 1),
      "m.gguf: byte 5275, tensor 'blk.1.ffn_down.weight': 6144 bytes at offset 88832 of the data "
      "(which begins at byte 5344) pass the end of the file; it is truncated or corrupt\n");
}

TEST_F(BadModel, GgufOfAnotherKind) {
  std::vector<std::byte> bytes = small_model().bytes();
  bytes[4] = std::byte{1};
  EXPECT_EQ(report_of(bytes), "m.gguf: byte 4: GGUF version 1; 2 or 3 would be right\n");
  bytes[4] = std::byte{0};
  bytes[7] = std::byte{3};
  EXPECT_EQ(report_of(bytes),
            "m.gguf: byte 4: the file is big-endian; a little-endian one would be right\n");
}

TEST_F(BadModel, GgufWithTensorsThatCannotBe) {
  const auto changed = [&](const std::function<void(GgufWriter::Info&)>& change) {
    GgufWriter w = small_model();
    change(w.infos().at(2));
    return report_of(w);
  };
  EXPECT_EQ(changed([](auto& info) { info.offset = std::uint64_t{1} << 40; }),
            "m.gguf: byte 4278, tensor 'blk.0.attn_norm.weight': 128 bytes at offset 1099511627776 "
            "of the data (which begins at byte 5344) pass the end of the file; it is truncated or "
            "corrupt\n");
  EXPECT_EQ(changed([](auto& info) {
              info.dims = {std::uint64_t{1} << 40, 1 << 30};
            }),
            "m.gguf: byte 4278, tensor 'blk.0.attn_norm.weight': the dimensions multiply to more "
            "than 64 bits can hold\n");
  EXPECT_EQ(changed([](auto& info) { info.name = "token_embd.weight"; }),
            "m.gguf: byte 4278, tensor 'token_embd.weight': the tensor is listed twice, first at "
            "byte 4171; once would be right\n");
  EXPECT_EQ(changed([](auto& info) { info.type = 10; }),
            "m.gguf: byte 4320, tensor 'blk.0.attn_norm.weight': type 10 (Q2_K) is not supported; "
            "supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K\n");
  EXPECT_EQ(
      changed([](auto& info) { info.type = 77; }),
      "m.gguf: byte 4320, tensor 'blk.0.attn_norm.weight': type 77 (unknown) is not supported; "
      "supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K\n");
  EXPECT_EQ(changed([](auto& info) { info.offset = 0; }),
            "m.gguf: byte 4171, tensor 'token_embd.weight': its data at offset 0 overlaps that of "
            "tensor 'blk.0.attn_norm.weight', which takes offsets 0 to 128\n");
}

TEST_F(BadModel, GgufWithKeysThatCannotBe) {
  EXPECT_EQ(
      report_of(small_model().set("llama.block_count", 2U)),
      "m.gguf: byte 4171, key 'llama.block_count': the key stands twice; once would be right\n");
  EXPECT_EQ(
      report_of(small_model({"llama.block_count"}).set("llama.block_count", "two")),
      "m.gguf: llama.block_count: is string 'two'; an integer from 1 to 10000 would be right\n");
  EXPECT_EQ(
      report_of(small_model({"general.architecture"})),
      "m.gguf: key 'general.architecture' is missing; a model's file says its family there\n");
  EXPECT_EQ(report_of(small_model().set("llama.expert_count", 8U)),
            "m.gguf: llama.expert_count: is 8; mixtures of experts are not supported\n");
}

TEST_F(BadModel, AFamilyThatIsUnknown) {
  GgufWriter w = small_model({"general.architecture"});
  w.set("general.architecture", "gemma3");
  EXPECT_EQ(report_of(w),
            "m.gguf: model family 'gemma3' is not supported; known families: llama, mistral, "
            "qwen2, qwen3\n");
}

TEST_F(BadModel, WithoutATokenizer) {
  GgufWriter none = small_model({"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"});
  none.set("llama.vocab_size", 257U);
  EXPECT_EQ(report_of(none),
            "m.gguf: tokenizer.ggml.tokens is missing: the file has no tokenizer\n");
  EXPECT_EQ(report_of(small_model({"tokenizer.ggml.model"})),
            "m.gguf: tokenizer.ggml.model is missing; \"gpt2\" or \"llama\" would be right\n");
  GgufWriter other = small_model({"tokenizer.ggml.pre"});
  EXPECT_EQ(report_of(other.set("tokenizer.ggml.pre", "deepseek-llm")),
            "m.gguf: tokenizer.ggml.pre is 'deepseek-llm'; varve has gpt-2, smollm, llama-bpe, "
            "llama3, llama-v3, qwen2, deepseek-r1-qwen\n");
  fs::create_directory(folder_ / "hf");
  for (const char* name : {"config.json", "model.safetensors"}) {
    fs::copy_file(golden_folder() / "models/llama" / name, folder_ / "hf" / name);
  }
  use_model("hf");
  EXPECT_EQ(report(),
            "hf/tokenizer.json: is missing; a model in a folder brings its tokenizer in it\n");
  write("hf/tokenizer.json", "{\"model\": ");
  EXPECT_THAT(report(), StartsWith("hf/tokenizer.json: is not JSON: at line 1, column 11: "));
}

TEST_F(BadModel, WeightsThatAreNotNumbers) {
  const std::vector<float> norm(32, std::numeric_limits<float>::quiet_NaN());
  GgufWriter w = small_model({"output_norm.weight"});
  w.tensor("output_norm.weight", {norm.size()}, norm).write(folder_ / "m.gguf");
  for (const char* sampling : {"0", "1"}) {
    const Ended ended = run("run", std::string("--set output.overwrite=true --set "
                                               "sampling.temperature=") +
                                       sampling);
    EXPECT_EQ(ended.code, 1);
    EXPECT_THAT(ended.err, HasSubstr("the logits are not finite (largest nan); the model's weights "
                                     "or its configuration cannot be right"));
  }
}

TEST_F(BadModel, AChatTemplateThatIsUnknown) {
  write("job.yaml", "model: m.gguf\ndocument: d.txt\nquestions: [a]\n");
  GgufWriter w = small_model();
  EXPECT_EQ(report_of(w),
            "the model has no chat template; varve has chatml, llama3, mistral, qwen and raw: name "
            "one of them as chat.template; raw writes the text with nothing around it\n");
  w.set("tokenizer.chat_template", "{% for m in messages %}### {{ m['content'] }}{% endfor %}");
  EXPECT_EQ(report_of(w),
            "the model has a chat template that varve does not know; varve has chatml, llama3, "
            "mistral, qwen and raw: name one of them as chat.template; raw writes the text with "
            "nothing around it\n");
}

TEST_F(BadModel, ALayerWithoutTensors) {
  GgufWriter w = small_model({"llama.block_count"});
  EXPECT_EQ(report_of(w.set("llama.block_count", 3U)),
            "m.gguf: layer 2 of 3 has no tensors; their names would start with 'blk.2.'\n");
}

// What only the rank that loads a layer finds out; rank 0 says it.
TEST_F(BadModel, TensorsThatAreMissingUnknownOrOfAnotherShape) {
  const auto fails = [&](const GgufWriter& writer, const std::string& options, int rank,
                         const std::string& report) {
    writer.write(folder_ / "m.gguf");
    const Ended ended = run("run", options);
    EXPECT_EQ(ended.code, 2);
    EXPECT_THAT(ended.err, HasSubstr("varve: rank " + std::to_string(rank) + " on "));
    EXPECT_THAT(ended.err, EndsWith(" failed: m.gguf: " + report + " (exit code 2)\n"));
    EXPECT_EQ(ended.err.find("varve: "), ended.err.rfind("varve: "));
  };
  const std::string missing =
      "tensor 'blk.1.attn_k.weight' is missing; a llama model has one of shape [16, 32]";
  fails(small_model({"blk.1.attn_k.weight"}), "", 0, missing);
  fails(small_model({"blk.1.attn_k.weight"}), "--ranks 2", 1, missing);
  fails(small_model({"output_norm.weight"}), "--ranks 2", 1,
        "tensor 'output_norm.weight' is missing; a llama model has one of shape [32]");
  GgufWriter narrow = small_model({"blk.1.attn_k.weight"});
  narrow.tensor("blk.1.attn_k.weight", {8, 32}, random_values(256, 1));
  fails(narrow, "", 0,
        "tensor 'blk.1.attn_k.weight' has shape [8, 32], the configuration asks for [16, 32]");
  GgufWriter more = small_model();
  more.tensor("blk.1.attn_k.bias", {16}, random_values(16, 1));
  fails(more, "", 0, "layer 1 has a tensor 'blk.1.attn_k.bias' that the family llama does not use");
}

class BadSafetensors : public BadModel {
 protected:
  BadSafetensors() {
    fs::create_directory(folder_ / "hf");
    fs::copy_file(golden_folder() / "models/llama/config.json", folder_ / "hf/config.json");
    use_model("hf");
  }
  std::string report_of(std::string_view header, std::size_t data) {
    write_file(folder_ / "hf/model.safetensors",
               safetensors_bytes(header, std::vector<std::byte>(data)));
    return report();
  }
};

TEST_F(BadSafetensors, ThatAreTruncated) {
  const fs::path file = folder_ / "hf/model.safetensors";
  fs::copy_file(golden_folder() / "models/llama/model.safetensors", file);
  const auto cut = [&](std::uintmax_t size) {
    fs::resize_file(file, size);
    return report();
  };
  EXPECT_EQ(cut(fs::file_size(file) - 1),
            "hf/model.safetensors: tensor 'model.norm.weight': 'data_offsets' end at 360704, but "
            "the file has 360703 bytes of data; it is truncated or corrupt\n");
  EXPECT_EQ(cut(100),
            "hf/model.safetensors: byte 8: the header takes 3056 bytes, but the file ends after 92 "
            "more; the file is truncated or corrupt\n");
  EXPECT_EQ(cut(7),
            "hf/model.safetensors: byte 0: the length of the header takes 8 bytes, but the file "
            "ends after 7 more; the file is truncated or corrupt\n");
}

TEST_F(BadSafetensors, WithHeadersThatCannotBe) {
  write("hf/model.safetensors", "PK\x03\x04 a zip archive of another framework");
  EXPECT_EQ(report(),
            "hf/model.safetensors: byte 0: a header of 8800140462016121680 bytes; at most "
            "100000000 would be right, so this is no safetensors file or it is corrupt\n");
  EXPECT_EQ(report_of("[]", 0),
            "hf/model.safetensors: byte 8: the header begins with '[]'; '{' would be right\n");
  EXPECT_EQ(report_of("{\"a\"", 0),
            "hf/model.safetensors (header): is not JSON: at line 1, column 5: syntax error while "
            "parsing object separator - unexpected end of input; expected ':'\n");
  EXPECT_EQ(
      report_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                          "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
                4),
      "hf/model.safetensors (header): key 'a' stands twice in one object; once would be right\n");
  EXPECT_EQ(report_of(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", 4),
            "hf/model.safetensors: tensor 'a': 'data_offsets' end at 8, but the file has 4 bytes "
            "of data; it is truncated or corrupt\n");
  EXPECT_EQ(
      report_of(R"({"a": {"dtype": "F32", "shape": [4294967296, 4294967296],
                                "data_offsets": [0, 4]}})",
                4),
      "hf/model.safetensors: tensor 'a': the shape multiplies to more than 64 bits can hold\n");
  EXPECT_EQ(report_of(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                          "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}})",
                      6),
            "hf/model.safetensors: tensor 'b': its data overlaps that of tensor 'a'\n");
}

TEST_F(BadSafetensors, WithATypeThatIsNotComputedWith) {
  EXPECT_EQ(report_of(R"({"model.embed_tokens.weight": {"dtype": "F8_E4M3", "shape": [4],
                                                        "data_offsets": [0, 4]}})",
                      4),
            "hf/model.safetensors: tensor 'model.embed_tokens.weight' has type F8_E4M3, which is "
            "not supported; F32, F16 or BF16 would be right\n");
}

TEST_F(BadSafetensors, WithShardsThatAreNotThere) {
  EXPECT_EQ(report(), "hf: has neither model.safetensors nor model.safetensors.index.json\n");
  write("hf/model.safetensors.index.json", safetensors_index({{"a", "one.safetensors"}}));
  EXPECT_EQ(report(), "hf/one.safetensors: no such file\n");
  write("hf/model.safetensors.index.json", safetensors_index({{"a", "../m.safetensors"}}));
  EXPECT_EQ(
      report(),
      "hf/model.safetensors.index.json: weight_map: tensor 'a' is in shard '../m.safetensors'; the "
      "name of a .safetensors file in the same folder would be right\n");
  fs::create_symlink("one.safetensors", folder_ / "hf/one.safetensors");
  write("hf/model.safetensors.index.json", safetensors_index({{"a", "one.safetensors"}}));
  EXPECT_EQ(report(), "hf/one.safetensors: cannot be opened: Too many levels of symbolic links\n");
}

TEST_F(BadSafetensors, WithAFamilyThatIsUnknown) {
  fs::copy_file(golden_folder() / "models/llama/model.safetensors",
                folder_ / "hf/model.safetensors");
  write("hf/config.json", R"({"model_type": "gemma3"})");
  EXPECT_EQ(
      report(),
      "hf: model family 'gemma3' is not supported; known families: llama, mistral, qwen2, qwen3\n");
}

}  // namespace
}  // namespace varve
