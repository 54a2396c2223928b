// Ids identical to Hugging Face's `tokenizers`, for each pre-tokenizer, from GGUF and from
// tokenizer.json (tests/golden/make_tokenizer_goldens.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "common/io/regular_file.h"
#include "common/io/sha256.h"
#include "common/utf8.h"
#include "tests/common/text/real_vocabularies.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr std::size_t kMost = std::size_t{1} << 30;
constexpr std::string_view kSeparator = "\n=== varve torture case ===\n";
constexpr std::size_t kBlockIds = 16384;

std::filesystem::path golden_folder() {
  return std::filesystem::path(VARVE_SOURCE_DIR) / "tests/golden/tokenizers";
}

json read_golden(const std::string& name) {
  return json::parse(read_text_file(golden_folder() / (name + ".json"), kMost));
}

std::string digest(std::span<const TokenId> ids) {
  return sha256_hex(std::as_bytes(ids));
}

std::vector<TokenId> parse_ids(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<TokenId>(in), {}};
}

// "1 2 3", or {"ids": count, "sha256": ...} where the list would be long.
void expect_ids(const std::vector<TokenId>& ids, const json& golden) {
  if (golden.is_string()) {
    EXPECT_EQ(ids, parse_ids(golden.get<std::string>()));
    return;
  }
  EXPECT_EQ(ids.size(), golden.at("ids").get<std::size_t>());
  EXPECT_EQ(digest(ids), golden.at("sha256").get<std::string>());
}

struct Source {
  std::string name;
  bool json = false;
};

class TokenizerGolden : public testing::TestWithParam<Source> {
 protected:
  void SetUp() override {
    VARVE_NEED_VOCABULARY(GetParam().name);
    golden_ = read_golden(GetParam().name);
    tokenizer_.emplace(GetParam().json ? tokenizer_from_json(GetParam().name)
                                       : tokenizer_from_gguf(GetParam().name));
  }

  std::vector<TokenId> encode(std::string_view text, bool parse_special = false) const {
    EncodeOptions options;
    options.add_bos = false;
    options.parse_special = parse_special;
    return tokenizer_->encode(text, options);
  }

  json golden_;
  std::optional<Tokenizer> tokenizer_;
};

TEST_P(TokenizerGolden, KingJamesBible) {
  const std::string path = environment("VARVE_BIBLE");
  if (path.empty()) GTEST_SKIP() << "VARVE_BIBLE is not set";
  const json& golden = golden_.at("bible");
  const std::string text = read_text_file(path, kMost);
  ASSERT_EQ(text.size(), golden.at("bytes").get<std::size_t>());
  ASSERT_EQ(sha256_hex(std::as_bytes(std::span(text))), golden.at("sha256").get<std::string>());

  const std::vector<TokenId> ids = encode(text);
  EXPECT_EQ(ids.size(), golden.at("ids").get<std::size_t>());
  for (std::size_t block = 0; block < golden.at("blocks").size(); ++block) {
    const std::size_t begin = std::min(ids.size(), block * kBlockIds);
    const auto part = std::span(ids).subspan(begin, std::min(kBlockIds, ids.size() - begin));
    ASSERT_EQ(digest(part), golden.at("blocks")[block].get<std::string>()) << "block " << block;
  }
  EXPECT_EQ(tokenizer_->decode(ids), text);
}

TEST_P(TokenizerGolden, TortureFile) {
  const std::string text = read_text_file(golden_folder() / "torture.txt", kMost);
  const std::vector<std::string> cases = split_text(text, kSeparator);
  ASSERT_EQ(cases.size(), golden_.at("torture").size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "case " << i << ": " << cases[i].substr(0, 60));
    expect_ids(encode(cases[i]), golden_.at("torture")[i]);
  }
  expect_ids(encode(text), golden_.at("torture_whole"));
}

class UnicodeGolden : public TokenizerGolden {};

// Whatever its case, width, class, order, or version of Unicode: inside a word, beside spaces and
// digits, among combining marks.
TEST_P(UnicodeGolden, EveryCodePoint) {
  constexpr char32_t kPerBlock = 4096;
  for (char32_t begin = 0; begin < 0x110000; begin += kPerBlock) {
    std::string text;
    for (char32_t c = begin; c < begin + kPerBlock; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      std::string point;
      append_utf8(point, c);
      text +=
          'a' + point + "a " + point + '1' + point + ' ' + point + " x" + point + "\u0334x\u0345";
      text += point;
    }
    EXPECT_EQ(digest(encode(text)), golden_.at("code_points")[begin / kPerBlock])
        << "from code point " << std::hex << static_cast<unsigned>(begin);
  }
}

TEST_P(TokenizerGolden, SpecialTokens) {
  for (const json& row : golden_.at("special")) {
    SCOPED_TRACE(row.at("text").get<std::string>());
    expect_ids(encode(row.at("text").get<std::string>(), true), row.at("ids"));
  }
}

std::vector<Source> sources(bool with_json) {
  std::vector<Source> all;
  for (const char* name : {"gpt-2", "smollm", "llama-bpe", "qwen2", "llama-spm"}) {
    all.push_back({name, false});
    if (with_json) all.push_back({name, true});
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<Source>& source) {
  std::string name = source.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name + (source.param.json ? "_json" : "_gguf");
}

INSTANTIATE_TEST_SUITE_P(Real, TokenizerGolden, testing::ValuesIn(sources(true)), name_of);
INSTANTIATE_TEST_SUITE_P(Real, UnicodeGolden, testing::ValuesIn(sources(false)), name_of);

}  // namespace
}  // namespace varve
