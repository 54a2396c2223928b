#include "common/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "common/error.h"
#include "common/text/byte_alphabet.h"
#include "common/utf8.h"

namespace varve {
namespace {

using Ids = std::vector<TokenId>;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr TokenId kBos = 256;
constexpr TokenId kEos = 257;
constexpr TokenId kUser = 258;
constexpr TokenId kAb = 259;
constexpr TokenId kLonger = 260;

AddedToken added(TokenId id, std::string text, bool special) {
  AddedToken token;
  token.id = id;
  token.text = std::move(text);
  token.special = special;
  return token;
}

// One token per byte, whose id is the byte, and a few more.
TokenizerSpec byte_spec() {
  TokenizerSpec spec;
  spec.source = "test.json";
  spec.byte_level = true;
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back(spell_bytes(std::string(1, static_cast<char>(byte))));
  }
  for (const char* text : {"<s>", "</s>", "<user>", "ab", "<s>>"}) spec.tokens.emplace_back(text);
  spec.merges = {{'a', 'b', kAb, 0}};
  spec.added = {added(kBos, "<s>", true), added(kEos, "</s>", true), added(kUser, "<user>", false),
                added(kLonger, "<s>>", true)};
  spec.bos = kBos;
  spec.eos = kEos;
  return spec;
}

Ids bytes_of(std::string_view text) {
  Ids ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

EncodeOptions parsing() {
  EncodeOptions options;
  options.parse_special = true;
  return options;
}

EncodeOptions with_bos(bool add) {
  EncodeOptions options;
  options.add_bos = add;
  return options;
}

TEST(Tokenizer, TextIsNotParsedForSpecialTokens) {
  const Tokenizer tokenizer(byte_spec());
  EXPECT_EQ(tokenizer.encode("<s>"), bytes_of("<s>"));
  EXPECT_THAT(tokenizer.encode("<s>", parsing()), ElementsAre(kBos));
  EXPECT_THAT(tokenizer.encode("a<s>b</s>", parsing()), ElementsAre('a', kBos, 'b', kEos));
  EXPECT_THAT(tokenizer.encode("<s>>ab", parsing()), ElementsAre(kLonger, kAb)) << "the longest";
  EXPECT_THAT(tokenizer.encode("<<s", parsing()), ElementsAre('<', '<', 's'));
}

TEST(Tokenizer, TokensOfUsersAreAlwaysFound) {
  const Tokenizer tokenizer(byte_spec());
  EXPECT_THAT(tokenizer.encode("a<user>b"), ElementsAre('a', kUser, 'b'));
  EXPECT_FALSE(tokenizer.is_special(kUser));
  EXPECT_EQ(tokenizer.find_special("<user>"), std::nullopt);
  EXPECT_EQ(tokenizer.find_special("<s>"), kBos);
}

TEST(Tokenizer, MergesNeverYieldSpecialTokens) {
  TokenizerSpec spec = byte_spec();
  spec.tokens.emplace_back("<s");
  spec.merges.push_back({'<', 's', 261, 1});
  spec.merges.push_back({261, '>', kBos, 2});
  EXPECT_THAT(Tokenizer(spec).encode("<s>"), ElementsAre(261, '>'));
}

TEST(Tokenizer, BeginningOfSequence) {
  TokenizerSpec spec = byte_spec();
  EXPECT_THAT(Tokenizer(spec).encode("a"), ElementsAre('a'));
  EXPECT_THAT(Tokenizer(spec).encode("a", with_bos(true)), ElementsAre(kBos, 'a'));
  spec.add_bos = true;
  const Tokenizer tokenizer(spec);
  EXPECT_TRUE(tokenizer.adds_bos());
  EXPECT_THAT(tokenizer.encode(""), ElementsAre(kBos));
  EXPECT_THAT(tokenizer.encode("a", with_bos(false)), ElementsAre('a'));
  EXPECT_THAT(tokenizer.encode("<s>a", parsing()), ElementsAre(kBos, 'a')) << "not twice";
  EncodeOptions continues;
  continues.continues = true;
  EXPECT_THAT(tokenizer.encode("a", continues), ElementsAre('a'));
}

TEST(Tokenizer, Pieces) {
  const Tokenizer tokenizer(byte_spec());
  const std::vector<Piece> pieces = {{"<s>", true}, {"a", false}, {"b<s>", false}, {"</s>", true}};
  EXPECT_THAT(tokenizer.encode(pieces), ElementsAre(kBos, kAb, '<', 's', '>', kEos))
      << "adjacent texts are one, and not parsed";
  const std::vector<Piece> unknown = {{"a", false}, {"b[INST]", true}};
  EXPECT_EQ(tokenizer.encode(unknown), tokenizer.encode("ab[INST]"));
  EXPECT_THAT(tokenizer.encode(std::vector<Piece>{}, with_bos(true)), ElementsAre(kBos));
}

TEST(Tokenizer, InvalidUtf8IsReplaced) {
  const Tokenizer tokenizer(byte_spec());
  EXPECT_EQ(tokenizer.encode("a\xE2\x82z\xFF"), bytes_of("a\uFFFDz\uFFFD"));
}

TEST(Tokenizer, IsSharedByThreads) {
  TokenizerSpec spec = byte_spec();
  spec.normalizer.emplace_back(NfcStep{});
  spec.pre_tokenizer.emplace_back(ByteLevelStep{});
  const Tokenizer tokenizer(spec);
  const std::string text = "ab e\u0301 1<s>, <user>";
  const Ids expected = tokenizer.encode(text, parsing());
  std::vector<Ids> found(4);
  {
    std::vector<std::jthread> threads;
    for (Ids& ids : found) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) ids = tokenizer.encode(text, parsing());
      });
    }
  }
  for (const Ids& ids : found) EXPECT_EQ(ids, expected);
}

TEST(Tokenizer, AddedTokensTakeSpacesAndStandAlone) {
  TokenizerSpec spec = byte_spec();
  spec.added[2].lstrip = spec.added[2].rstrip = true;
  EXPECT_THAT(Tokenizer(spec).encode("a \u3000<user>\n b"), ElementsAre('a', kUser, 'b'));
  spec = byte_spec();
  spec.added[2].single_word = true;
  const Tokenizer tokenizer(spec);
  EXPECT_THAT(tokenizer.encode("-<user>!"), ElementsAre('-', kUser, '!'));
  EXPECT_EQ(tokenizer.encode("a<user>"), bytes_of("a<user>"));
  EXPECT_EQ(tokenizer.encode("<user>_"), bytes_of("<user>_"));
}

TEST(Tokenizer, NormalizedAddedTokensAreSearchedInTheNormalizedText) {
  TokenizerSpec spec = byte_spec();
  spec.normalizer.emplace_back(NfcStep{});
  spec.tokens.emplace_back("\u00E9!");
  spec.added.push_back(added(261, "e\u0301!", false));
  spec.added.back().normalized = true;
  const Tokenizer tokenizer(spec);
  EXPECT_THAT(tokenizer.encode("\u00E9!"), ElementsAre(261));
  EXPECT_THAT(tokenizer.encode("e\u0301!"), ElementsAre(261));
  EXPECT_EQ(tokenizer.encode("e\u0301"), bytes_of("\u00E9"));
}

TEST(Tokenizer, Decode) {
  const Tokenizer tokenizer(byte_spec());
  EXPECT_EQ(tokenizer.decode(Ids{kBos, 'h', kAb, kUser, kEos}), "hab<user>");
  EXPECT_EQ(tokenizer.decode(Ids{kBos, 'h', kEos}, true), "<s>h</s>");
  EXPECT_EQ(tokenizer.decode(Ids{0xE4, 0xB8}), "\uFFFD");
  EXPECT_EQ(tokenizer.decode(Ids{100000}), "") << "models pad their vocabularies";
  EXPECT_EQ(tokenizer.token_bytes(0xE4), "\xE4");
}

// What comes out piece by piece is whole characters, and in a row what decode() gives.
TEST(IncrementalDecoder, NeverSplitsACharacter) {
  const Tokenizer tokenizer(byte_spec());
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    Ids ids = bytes_of("aé中🙂");
    for (int i = 0; i < 6; ++i) {
      ids.insert(ids.begin() + static_cast<std::ptrdiff_t>(random() % ids.size()),
                 static_cast<TokenId>(random() % 262));
    }
    IncrementalDecoder decoder(tokenizer);
    std::string text;
    for (const TokenId id : ids) {
      const std::string part = decoder.add(id);
      EXPECT_TRUE(is_valid_utf8(part));
      text += part;
    }
    text += decoder.flush();
    EXPECT_EQ(text, tokenizer.decode(ids));
    EXPECT_EQ(decoder.flush(), "");
  }
}

TEST(IncrementalDecoder, WaitsForACharacterToComplete) {
  const Tokenizer tokenizer(byte_spec());
  IncrementalDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.add(0xF0), "");
  EXPECT_EQ(decoder.add(0x9F), "");
  EXPECT_EQ(decoder.add(0x99), "");
  EXPECT_EQ(decoder.add(0x82), "🙂");
  EXPECT_EQ(decoder.add(0xF0), "");
  EXPECT_EQ(decoder.add('a'), "\uFFFDa");
  EXPECT_EQ(decoder.add(0xC3), "");
  EXPECT_EQ(decoder.flush(), "\uFFFD");
}

// As Llama 2: ▁ for spaces, one in front, bytes for what is unknown.
TokenizerSpec sentencepiece_spec() {
  TokenizerSpec spec;
  spec.source = "test.gguf";
  spec.tokens = {"<unk>", "<s>", "</s>"};
  for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back(fmt::format("<0x{:02X}>", byte));
  for (const char* text : {"▁", "a", "b", "▁a"}) spec.tokens.emplace_back(text);
  spec.merges = {{259, 260, 262, 0}};
  spec.byte_fallback = true;
  spec.normalizer.emplace_back(PrependStep{"▁"});
  ReplaceStep spaces;
  spaces.pattern.text = " ";
  spaces.content = "▁";
  spec.normalizer.emplace_back(spaces);
  spec.strip_leading_space = true;
  for (TokenId id = 0; id < 259; ++id) spec.not_mergeable.push_back(id);
  spec.added = {added(1, "<s>", true), added(2, "</s>", true)};
  spec.bos = 1;
  spec.eos = 2;
  return spec;
}

TEST(Tokenizer, SentencePiece) {
  const Tokenizer tokenizer(sentencepiece_spec());
  EXPECT_THAT(tokenizer.encode("a b"), ElementsAre(262, 259, 261));
  EXPECT_THAT(tokenizer.encode("é"), ElementsAre(259, 3 + 0xC3, 3 + 0xA9));
  EXPECT_THAT(tokenizer.encode("<s>a", parsing()), ElementsAre(1, 262));
  EncodeOptions continues;
  continues.continues = true;
  EXPECT_THAT(tokenizer.encode("a", continues), ElementsAre(260));
  EXPECT_THAT(
      tokenizer.encode(std::vector<Piece>{{"a", false}, {"</s>", true}, {"a", false}}, continues),
      ElementsAre(260, 2, 262));
}

TEST(Tokenizer, SentencePieceDecodes) {
  const Tokenizer tokenizer(sentencepiece_spec());
  for (const char* text : {"a b", " a", "  ", "é 中\n", "b"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  EXPECT_EQ(tokenizer.decode(Ids{1, 262, 262}), "a a");
  EXPECT_EQ(tokenizer.decode(Ids{3 + 0xC3}), "\uFFFD");
  EXPECT_FALSE(tokenizer.is_special(3 + 0xC3));
  EXPECT_TRUE(tokenizer.is_special(0));
}

TEST(Tokenizer, Stops) {
  TokenizerSpec spec = byte_spec();
  spec.stops = {'q'};
  spec.tokens.emplace_back("<|im_end|>");
  spec.added.push_back(added(261, "<|im_end|>", true));
  spec.tokens.emplace_back("<|eot_id|>");  // no special token: text
  const Tokenizer tokenizer(spec);
  EXPECT_THAT(tokenizer.stops(), ElementsAre('q', kEos, 261));
  EXPECT_TRUE(tokenizer.is_stop(261));
  EXPECT_FALSE(tokenizer.is_stop('a'));
}

std::string refusal(TokenizerSpec spec) {
  try {
    const Tokenizer tokenizer(std::move(spec));
  } catch (const IoError& error) {
    return error.what();
  }
  return "taken";
}

TEST(Tokenizer, SpecsThatContradictThemselves) {
  TokenizerSpec spec = byte_spec();
  spec.bos = 261;
  EXPECT_EQ(refusal(spec),
            "test.json: the beginning-of-sequence token is 261; an id below 261 would be right");
  spec = byte_spec();
  spec.eos = -1;
  EXPECT_THAT(refusal(spec), HasSubstr("the end-of-sequence token is -1"));
  spec = byte_spec();
  spec.unknown = 1000;
  EXPECT_THAT(refusal(spec), HasSubstr("the unknown token is 1000"));
  spec = byte_spec();
  spec.stops = {1000};
  EXPECT_THAT(refusal(spec), HasSubstr("the end-of-turn token is 1000"));
  spec = byte_spec();
  spec.not_mergeable = {1000};
  EXPECT_THAT(refusal(spec), HasSubstr("the control token is 1000"));
  spec = byte_spec();
  spec.added[0].id = 1000;
  EXPECT_THAT(refusal(spec), HasSubstr("the added token is 1000"));
  spec = byte_spec();
  spec.merges[0].result = 1000;
  EXPECT_THAT(refusal(spec), HasSubstr("the merged token is 1000"));
  spec = byte_spec();
  spec.added[0].text.clear();
  EXPECT_THAT(refusal(spec), HasSubstr("the added token 256 is empty"));
  spec = byte_spec();
  spec.add_bos = true;
  spec.bos.reset();
  EXPECT_THAT(refusal(spec), HasSubstr("at the start of a text, but names none"));
  spec = byte_spec();
  spec.tokens[3] = "ab";
  EXPECT_EQ(refusal(spec), "test.json: tokens 3 and 259 are both 'ab'; each text may stand once");
  spec = byte_spec();
  spec.tokens[3].clear();
  EXPECT_EQ(refusal(spec), "test.json: token 3 is empty");
  EXPECT_EQ(refusal(TokenizerSpec{}), ": the vocabulary has no tokens");
}

}  // namespace
}  // namespace varve
