// Files that others wrote. Each test is skipped where the variable that names its files is not set.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/model/gguf.h"
#include "common/model/model_files.h"

namespace varve {
namespace {

TEST(RealModelFiles, SmolLm2) {
  const char* path = std::getenv("VARVE_SMOLLM2");
  if (path == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names no file";
  const ModelFiles files = open_model(path);
  EXPECT_EQ(files.tensors->tensors().size(), 272U);
  const ModelConfig& c = files.config;
  EXPECT_EQ(c.family, "llama");
  EXPECT_EQ(c.layers, 30U);
  EXPECT_EQ(c.hidden, 576U);
  EXPECT_EQ(c.intermediate, 1536U);
  EXPECT_EQ(c.q_heads, 9U);
  EXPECT_EQ(c.kv_heads, 3U);
  EXPECT_EQ(c.head_dim, 64U);
  EXPECT_EQ(c.vocab, 49152U);
  EXPECT_EQ(c.context, 8192U);
  EXPECT_FLOAT_EQ(static_cast<float>(c.norm_eps), 1e-5F);
  EXPECT_EQ(c.rope_theta, 100000.0);
  EXPECT_EQ(c.rope_dims, 64U);
  EXPECT_EQ(c.rope_layout, RopeLayout::kInterleaved);
  EXPECT_EQ(c.sliding_window, std::nullopt);
  EXPECT_TRUE(c.tied_embeddings);
  const auto tokens = files.gguf->get_strings("tokenizer.ggml.tokens");
  ASSERT_TRUE(tokens.has_value());
  EXPECT_EQ(tokens->size(), 49152U);
  EXPECT_EQ(files.gguf->get_string("tokenizer.ggml.model"), "gpt2");
}

TEST(RealModelFiles, Vocabularies) {
  const char* folder = std::getenv("VARVE_LLAMA_VOCABS");
  if (folder == nullptr) GTEST_SKIP() << "VARVE_LLAMA_VOCABS names no folder";
  std::size_t opened = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const auto file = GgufFile::open(entry.path());
    EXPECT_TRUE(file->tensors().empty()) << entry.path();
    EXPECT_TRUE(file->metadata().get_strings("tokenizer.ggml.tokens").has_value()) << entry.path();
    ++opened;
  }
  EXPECT_GT(opened, 0U) << folder;
}

}  // namespace
}  // namespace varve
