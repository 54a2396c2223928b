// llama.cpp's own tokenizer tests: the inputs and ids that lie beside its vocabularies.
#include <gtest/gtest.h>

#include <sstream>

#include "common/io/regular_file.h"
#include "tests/common/text/real_vocabularies.h"

namespace varve {
namespace {

class PeerVocabulary : public testing::TestWithParam<const char*> {};

std::vector<TokenId> ids_of_line(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<TokenId>(in), {}};
}

TEST_P(PeerVocabulary, AllCases) {
  VARVE_NEED_VOCABULARY(GetParam());
  constexpr std::size_t kMost = 1 << 20;
  const std::string path = real_vocabulary(GetParam()).string();
  auto inputs = split_text(read_text_file(path + ".inp", kMost), "\n__ggml_vocab_test__\n");
  auto outputs = split_text(read_text_file(path + ".out", kMost), "\n");
  ASSERT_EQ(inputs.back(), "");  // both files end with their separator
  inputs.pop_back();
  ASSERT_EQ(outputs.back(), "");
  outputs.pop_back();
  ASSERT_EQ(inputs.size(), outputs.size());
  ASSERT_GT(inputs.size(), 40U);

  const Tokenizer tokenizer = tokenizer_from_gguf(GetParam());
  EncodeOptions options;
  options.add_bos = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(tokenizer.encode(inputs[i], options), ids_of_line(outputs[i]))
        << "case " << i << ": " << inputs[i];
  }
}

INSTANTIATE_TEST_SUITE_P(LlamaCpp, PeerVocabulary,
                         testing::Values("gpt-2", "llama-bpe", "llama-spm", "qwen2"),
                         [](const auto& param_info) {
                           std::string name = param_info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace varve
