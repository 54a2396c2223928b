// The merges against the definition, done the slow way.
#include "common/text/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/error.h"
#include "common/text/byte_alphabet.h"
#include "common/utf8.h"

namespace varve {
namespace {

using Ids = std::vector<TokenId>;

// As long as some pair merges: the lowest rank, among equals the leftmost.
Ids merge_slowly(Ids ids, const std::vector<Merge>& merges) {
  for (;;) {
    const Merge* best = nullptr;
    std::size_t best_at = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      for (const Merge& merge : merges) {
        if (merge.left != ids[i] || merge.right != ids[i + 1]) continue;
        if (best != nullptr && best->rank <= merge.rank) continue;
        best = &merge;
        best_at = i;
      }
    }
    if (best == nullptr) return ids;
    ids[best_at] = best->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

// All strings over the letters that random merges reach; tokens by merge, letters first.
TokenizerSpec random_spec(std::string_view letters, std::size_t merge_count, unsigned seed) {
  std::mt19937 random(seed);
  TokenizerSpec spec;
  spec.source = "test";
  for (std::size_t at = 0; at < letters.size(); at += decode_utf8(letters, at).length) {
    spec.tokens.emplace_back(letters.substr(at, decode_utf8(letters, at).length));
  }
  std::vector<std::pair<TokenId, TokenId>> seen;
  while (spec.merges.size() < merge_count) {
    const auto any = [&] { return static_cast<TokenId>(random() % spec.tokens.size()); };
    const std::pair<TokenId, TokenId> pair(any(), any());
    if (std::find(seen.begin(), seen.end(), pair) != seen.end()) continue;
    seen.push_back(pair);
    const std::string text = spec.tokens[static_cast<std::size_t>(pair.first)] +
                             spec.tokens[static_cast<std::size_t>(pair.second)];
    auto at = std::find(spec.tokens.begin(), spec.tokens.end(), text);
    if (at == spec.tokens.end()) at = spec.tokens.insert(at, text);
    spec.merges.push_back({pair.first, pair.second, static_cast<TokenId>(at - spec.tokens.begin()),
                           static_cast<std::uint32_t>(spec.merges.size())});
  }
  return spec;
}

Ids encode(const TokenizerSpec& spec, std::string_view word) {
  const Vocabulary vocabulary(spec.tokens, "test");
  const Bpe bpe(spec, vocabulary);
  Bpe::Session session(bpe);
  Ids ids;
  session.encode(word, ids);
  const std::size_t once = ids.size();
  session.encode(word, ids);  // from memory
  EXPECT_EQ(Ids(ids.begin() + static_cast<std::ptrdiff_t>(once), ids.end()),
            Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(once)));
  ids.resize(once);
  return ids;
}

std::string random_word(std::string_view letters, std::size_t count, std::mt19937& random) {
  std::vector<std::string_view> all;
  for (std::size_t at = 0; at < letters.size(); at += decode_utf8(letters, at).length) {
    all.push_back(letters.substr(at, decode_utf8(letters, at).length));
  }
  std::string word;
  for (std::size_t i = 0; i < count; ++i) word += all[random() % all.size()];
  return word;
}

void expect_definition(std::string_view letters, bool byte_level, unsigned seed) {
  TokenizerSpec spec = random_spec(letters, 40, seed);
  spec.byte_level = byte_level;
  std::mt19937 random(seed);
  for (std::size_t count = 0; count < 90; ++count) {
    const std::string word = random_word(letters, count, random);
    Ids first;
    for (std::size_t at = 0; at < word.size(); at += decode_utf8(word, at).length) {
      const auto token = word.substr(at, decode_utf8(word, at).length);
      first.push_back(static_cast<TokenId>(
          std::find(spec.tokens.begin(), spec.tokens.end(), token) - spec.tokens.begin()));
    }
    ASSERT_EQ(encode(spec, word), merge_slowly(first, spec.merges)) << word;
  }
}

TEST(Bpe, AgreesWithTheDefinition) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    expect_definition("ab", true, seed);
    expect_definition("abc", false, seed);
    expect_definition("abcdef", true, seed);
  }
}

// Words with U+2581 are cut where merges cannot reach across; the ids must not show it.
TEST(Bpe, CutsAtSpacesAreInvisible) {
  for (unsigned seed = 0; seed < 40; ++seed) expect_definition("▁ab中", false, seed);
}

TEST(Bpe, EqualRanksGoLeftToRight) {
  TokenizerSpec spec;
  spec.tokens = {"a", "b", "aa", "ab"};
  spec.merges = {{0, 0, 2, 7}, {0, 1, 3, 7}};
  EXPECT_EQ(encode(spec, "aab"), (Ids{2, 1}));
  EXPECT_EQ(encode(spec, "aaab"), (Ids{2, 3}));
  EXPECT_EQ(encode(spec, "aaa"), (Ids{2, 0}));
}

TEST(Bpe, UnknownCharacters) {
  TokenizerSpec spec;
  spec.tokens = {"<unk>", "a", "b", "ab"};
  spec.merges = {{1, 2, 3, 0}};
  EXPECT_EQ(encode(spec, "axb"), (Ids{3})) << "dropped before merging, as `tokenizers` does";
  spec.unknown = 0;
  EXPECT_EQ(encode(spec, "axyb"), (Ids{1, 0, 0, 2}));
  spec.fuse_unknown = true;
  EXPECT_EQ(encode(spec, "axyb中"), (Ids{1, 0, 2, 0}));
}

TEST(Bpe, ByteFallback) {
  TokenizerSpec spec;
  spec.tokens = {"<unk>", "a"};
  for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back(fmt::format("<0x{:02X}>", byte));
  spec.unknown = 0;
  spec.byte_fallback = true;
  EXPECT_EQ(encode(spec, "aé"), (Ids{1, 2 + 0xC3, 2 + 0xA9}));
  spec.tokens[2 + 0xA9] = "other";
  EXPECT_EQ(encode(spec, "aé"), (Ids{1, 0})) << "all bytes or none";
}

TEST(Bpe, WholeWordsAreTokensIfMergesAreIgnored) {
  TokenizerSpec spec;
  spec.byte_level = true;
  spec.tokens = {"a", "b", "ab", "ba", "bab"};
  spec.merges = {{0, 1, 2, 0}, {1, 0, 3, 1}};
  EXPECT_EQ(encode(spec, "bab"), (Ids{1, 2}));
  spec.ignore_merges = true;
  EXPECT_EQ(encode(spec, "bab"), (Ids{4}));
  EXPECT_EQ(encode(spec, "baba"), (Ids{1, 2, 0}));
  spec.not_mergeable = {4};
  EXPECT_EQ(encode(spec, "bab"), (Ids{1, 2}));
}

// A word of a million letters: time must not grow with its square.
TEST(Bpe, AMillionLetters) {
  const std::string_view letters = "abcd";
  TokenizerSpec spec = random_spec(letters, 300, 5);
  spec.byte_level = true;
  std::mt19937 random(5);
  const std::string word = random_word(letters, 1'000'000, random);
  std::string back;
  for (const TokenId id : encode(spec, word)) back += spec.tokens[static_cast<std::size_t>(id)];
  EXPECT_EQ(back, word);
}

}  // namespace
}  // namespace varve
