#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/io/sha256.h"
#include "common/model/gguf_metadata.h"
#include "common/model/model_files.h"
#include "tests/common/model/small_gguf.h"
#include "tests/support/io_error.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::HasSubstr;

constexpr const char* kConfig = R"({"model_type": "qwen2", "num_hidden_layers": 1,
  "hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1,
  "max_position_embeddings": 64, "vocab_size": 5, "rms_norm_eps": 1e-6})";

void write_text(const std::filesystem::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

SafetensorsWriter weights(const std::string& name = "model.norm.weight") {
  SafetensorsWriter w;
  w.tensor(name, {8}, random_values(8, 1));
  return w;
}

TEST(OpenModel, OpensAGgufFile) {
  const TempFolder folder;
  small_gguf().write(folder / "m.gguf");
  const ModelFiles files = open_model(folder / "m.gguf");
  EXPECT_EQ(files.source, ModelSource::kGguf);
  EXPECT_EQ(files.config.hidden, 32U);
  EXPECT_EQ(files.config.rope_layout, RopeLayout::kInterleaved);
  ASSERT_NE(files.gguf, nullptr);
  EXPECT_EQ(files.gguf->get_string("general.name"), "small");
  EXPECT_EQ(files.tensors->tensors().size(), 3U);
  EXPECT_EQ(files.path, folder / "m.gguf");
  EXPECT_EQ(files.directory, folder.path());
  EXPECT_EQ(files.tokenizer_path, folder / "m.gguf");
}

TEST(OpenModel, OpensADirectory) {
  const TempFolder folder;
  write_text(folder / "config.json", kConfig);
  weights().write(folder / "model.safetensors");
  for (const std::string& path : {folder.path().string(), folder.path().string() + "/"}) {
    const ModelFiles files = open_model(path);
    EXPECT_EQ(files.source, ModelSource::kHuggingFace);
    EXPECT_EQ(files.config.family, "qwen2");
    EXPECT_EQ(files.config.name, folder.path().filename());
    EXPECT_TRUE(files.config.tied_embeddings);
    EXPECT_EQ(files.gguf, nullptr);
    EXPECT_NE(files.tensors->find("model.norm.weight"), nullptr);
    EXPECT_EQ(files.tokenizer_path, folder / "tokenizer.json");
  }
}

TEST(OpenModel, OpensShardsUnlessThereIsASingleFile) {
  const TempFolder folder;
  write_text(folder / "config.json", kConfig);
  write_text(folder / "model.safetensors.index.json",
             safetensors_index({{"a", "model-1.safetensors"}, {"b", "model-2.safetensors"}}));
  weights("a").write(folder / "model-1.safetensors");
  weights("b").write(folder / "model-2.safetensors");
  EXPECT_EQ(open_model(folder.path()).tensors->tensors().size(), 2U);
  weights().write(folder / "model.safetensors");
  EXPECT_EQ(open_model(folder.path()).tensors->tensors().size(), 1U);
}

TEST(OpenModel, SaysWhatIsMissing) {
  const TempFolder folder;
  const std::string base = folder.path().string();
  const auto message = [&] { return io_error([&] { open_model(folder.path()); }); };
  EXPECT_EQ(message(), base + ": has no config.json; a model's directory has one");
  small_gguf().write(folder / "m.gguf");
  EXPECT_EQ(message(), base +
                           ": has no config.json; a model's directory has one (it has m.gguf: "
                           "name that file itself)");
  std::filesystem::remove(folder / "m.gguf");
  write_text(folder / "config.json", kConfig);
  EXPECT_EQ(message(), base + ": has neither model.safetensors nor model.safetensors.index.json");
  write_text(folder / "pytorch_model.bin", "x");
  EXPECT_EQ(message(), base +
                           ": has neither model.safetensors nor model.safetensors.index.json "
                           "(it has pytorch_model.bin: convert the weights to safetensors)");
}

TEST(OpenModel, SaysWhyAFileIsNoModel) {
  const TempFolder folder;
  weights().write(folder / "model.safetensors");
  EXPECT_THAT(io_error([&] { open_model(folder / "model.safetensors"); }),
              HasSubstr("model.safetensors: is a file of weights; the directory with its "
                        "config.json would be right"));
  EXPECT_THAT(io_error([&] { open_model(folder / "none.gguf"); }),
              HasSubstr("none.gguf: no such file"));
  write_text(folder / "text", "not a model");
  EXPECT_THAT(io_error([&] { open_model(folder / "text"); }),
              HasSubstr("text: byte 0: begins with 'not '; a GGUF file begins with 'GGUF'"));
}

TEST(RopeLayoutOf, OnlyLlamaGgufsAreInterleaved) {
  EXPECT_EQ(rope_layout_of(ModelSource::kGguf, "llama"), RopeLayout::kInterleaved);
  EXPECT_EQ(rope_layout_of(ModelSource::kGguf, "qwen2"), RopeLayout::kHalves);
  EXPECT_EQ(rope_layout_of(ModelSource::kHuggingFace, "llama"), RopeLayout::kHalves);
}

TEST(ContentHash, OfAGgufFileIsThatOfItsBytes) {
  const TempFolder folder;
  small_gguf().write(folder / "m.gguf");
  EXPECT_EQ(content_hash(folder / "m.gguf"), sha256_hex(small_gguf().bytes()));
}

TEST(ContentHash, OfADirectoryCoversWhatDecidesItsAnswers) {
  const TempFolder folder;
  write_text(folder / "config.json", "{}");
  write_text(folder / "b.safetensors", "b");
  write_text(folder / "a.safetensors", "a");
  const auto line = [&](const std::string& name) {
    return name + " " + sha256_hex(folder / name) + "\n";
  };
  const std::string lines = line("a.safetensors") + line("b.safetensors") + line("config.json");
  const std::string before = content_hash(folder.path());
  EXPECT_EQ(before, sha256_hex(std::as_bytes(std::span(lines))));
  write_text(folder / "README.md", "x");
  EXPECT_EQ(content_hash(folder.path()), before);
  write_text(folder / "tokenizer.json", "{}");
  EXPECT_NE(content_hash(folder.path()), before);
}

}  // namespace
}  // namespace varve
