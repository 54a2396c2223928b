#include "common/text/tokenizer_gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "common/error.h"
#include "common/model/gguf.h"
#include "common/text/tokenizer.h"
#include "tests/support/gguf_writer.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Strings = std::vector<std::string>;
using Types = std::vector<std::int32_t>;

Tokenizer read(const GgufWriter& writer) {
  const auto bytes = writer.bytes();
  return Tokenizer(read_gguf_tokenizer(GgufFile::from_bytes(bytes, "m.gguf")->metadata()));
}

std::string refusal(const GgufWriter& writer) {
  try {
    read(writer);
  } catch (const IoError& error) {
    return error.what();
  }
  return "taken";
}

// What is left out of a file, or put in its place.
struct Parts {
  std::string model = "gpt2";
  std::string pre = "gpt-2";
  Strings tokens = {"a", "b", "ab", "<eos>", "<x>", "Ġa", "Ġ", "1"};
  Types types = {1, 1, 1, 3, 4, 1, 1, 1};
  Strings merges = {"a b", "Ġ a"};
};

GgufWriter byte_level(const Parts& parts = {}) {
  GgufWriter writer;
  if (!parts.model.empty()) writer.set("tokenizer.ggml.model", parts.model);
  if (!parts.pre.empty()) writer.set("tokenizer.ggml.pre", parts.pre);
  if (!parts.tokens.empty()) writer.set("tokenizer.ggml.tokens", parts.tokens);
  if (!parts.types.empty()) writer.set("tokenizer.ggml.token_type", parts.types);
  if (!parts.merges.empty()) writer.set("tokenizer.ggml.merges", parts.merges);
  return writer;
}

TEST(GgufTokenizer, ByteLevel) {
  GgufWriter writer = byte_level();
  writer.set("tokenizer.ggml.eos_token_id", 3U).set("tokenizer.ggml.eot_token_id", 2U);
  writer.set("tokenizer.ggml.bos_token_id", 3U).set("tokenizer.chat_template", "{{ jinja }}");
  const Tokenizer tokenizer = read(writer);
  EXPECT_THAT(tokenizer.encode("ab a<x><eos>"), ElementsAre(2, 5, 4))
      << "bytes without a token are dropped, control tokens not parsed";
  EXPECT_THAT(tokenizer.stops(), ElementsAre(2, 3));
  EXPECT_FALSE(tokenizer.adds_bos());
  EXPECT_EQ(tokenizer.chat_template(), "{{ jinja }}");
  EXPECT_EQ(tokenizer.source(), "m.gguf");
}

TEST(GgufTokenizer, WithoutTypesAllTokensAreText) {
  Parts parts;
  parts.types.clear();
  const Tokenizer tokenizer = read(byte_level(parts));
  EXPECT_FALSE(tokenizer.is_special(3));
}

TEST(GgufTokenizer, WhatThePreTokenizersImply) {
  Parts parts;
  parts.pre = "llama-bpe";
  GgufWriter writer = byte_level(parts);
  writer.set("tokenizer.ggml.bos_token_id", 3U);
  EXPECT_TRUE(read(writer).adds_bos());
  writer.set("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(read(writer).adds_bos());
  parts.pre = "qwen2";
  parts.tokens = {"Ã", "©"};  // the bytes of é
  parts.types = {1, 1};
  parts.merges = {};
  EXPECT_EQ(refusal(byte_level(parts)), "m.gguf: tokenizer.ggml.merges is missing");
  parts.tokens.emplace_back("Ã©");
  parts.types.push_back(1);
  parts.merges = {"Ã ©"};
  EXPECT_THAT(read(byte_level(parts)).encode("e\u0301"), ElementsAre(2)) << "NFC";
}

GgufWriter sentencepiece(const std::vector<float>& scores = {0, 0, 0, -1, -2, -3, -4}) {
  GgufWriter writer;
  writer.set("tokenizer.ggml.model", "llama").set("tokenizer.ggml.scores", scores);
  writer.set("tokenizer.ggml.tokens", Strings{"<unk>", "<s>", "</s>", "▁a", "▁", "a", "b"});
  writer.set("tokenizer.ggml.token_type", Types{2, 3, 3, 1, 1, 1, 1});
  writer.set("tokenizer.ggml.bos_token_id", 1U).set("tokenizer.ggml.eos_token_id", 2U);
  return writer.set("tokenizer.ggml.unknown_token_id", 0U);
}

TEST(GgufTokenizer, SentencePiece) {
  const Tokenizer tokenizer = read(sentencepiece());
  EXPECT_THAT(tokenizer.encode("a b"), ElementsAre(1, 3, 4, 6));
  EXPECT_THAT(tokenizer.encode("axy"), ElementsAre(1, 3, 0));
  EXPECT_TRUE(tokenizer.strips_leading_space());
  GgufWriter without = sentencepiece();
  without.set("tokenizer.ggml.add_space_prefix", false).set("tokenizer.ggml.add_bos_token", false);
  EXPECT_THAT(read(without).encode("a b"), ElementsAre(5, 4, 6));
}

TEST(GgufTokenizer, EachErrorNamesTheKey) {
  using Change = std::function<void(Parts&)>;
  const std::pair<Change, const char*> cases[] = {
      {[](Parts& p) { p.tokens.clear(); },
       "m.gguf: tokenizer.ggml.tokens is missing: the file has no tokenizer"},
      {[](Parts& p) { p.model.clear(); },
       R"(m.gguf: tokenizer.ggml.model is missing; "gpt2" or "llama" would be right)"},
      {[](Parts& p) { p.model = "t5"; }, "tokenizer.ggml.model is 't5'; varve has \"gpt2\""},
      {[](Parts& p) { p.pre.clear(); }, "tokenizer.ggml.pre is missing; one of gpt-2, smollm, "},
      {[](Parts& p) { p.pre = "tekken"; }, "tokenizer.ggml.pre is 'tekken'; varve has gpt-2, smol"},
      {[](Parts& p) { p.types.pop_back(); }, "token_type has 7 values for 8 tokens"},
      {[](Parts& p) { p.types[2] = 9; }, "token_type of token 2 is 9; 1 to 6 would be right"},
      {[](Parts& p) { p.merges[0] = "ab"; }, "merges: merge 0 is 'ab'; two tokens with one space"},
      {[](Parts& p) { p.merges[1] = "a c"; }, "merge 1 needs the token 'c', which the vocabulary"},
      {[](Parts& p) { p.merges[1] = "a b"; }, "merge 1 of 'a' and 'b' stands twice"},
      {[](Parts& p) { p.tokens[1] = "a"; }, "m.gguf: tokens 0 and 1 are both 'a'; each text may"},
  };
  for (const auto& [change, message] : cases) {
    Parts parts;
    change(parts);
    EXPECT_THAT(refusal(byte_level(parts)), HasSubstr(message));
  }
}

TEST(GgufTokenizer, IdsAndScoresAreChecked) {
  GgufWriter writer = byte_level();
  writer.set("tokenizer.ggml.eos_token_id", 8U);
  EXPECT_EQ(refusal(writer),
            "m.gguf: tokenizer.ggml.eos_token_id is 8; an id below 8 would be right");
  EXPECT_THAT(refusal(sentencepiece({0, 0})), HasSubstr("scores has 2 values for 7 tokens"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(sentencepiece({0, 0, 0, 0, nan, 0, 0})),
              HasSubstr("tokenizer.ggml.scores of token 4 is not finite"));
  GgufWriter no_scores;
  no_scores.set("tokenizer.ggml.model", "llama").set("tokenizer.ggml.tokens", Strings{"a"});
  EXPECT_EQ(refusal(no_scores), "m.gguf: tokenizer.ggml.scores is missing");
}

TEST(GgufTokenizer, EmptyTextsAreUnusedIds) {
  Parts parts;
  parts.tokens[7] = "";
  EXPECT_THAT(read(byte_level(parts)).encode("ab"), ElementsAre(2));
}

}  // namespace
}  // namespace varve
