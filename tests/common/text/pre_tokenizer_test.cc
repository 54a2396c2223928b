#include "common/text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/text/normalizer.h"

namespace varve {
namespace {

using testing::ElementsAre;

using Words = std::vector<std::string>;

Words split(const std::vector<PreTokenizerStep>& steps, std::string_view text,
            TextPlace place = {}) {
  Words words;
  PreTokenizer(steps, "test").split(text, place, [&](std::string_view word) {
    words.emplace_back(word);
  });
  return words;
}

SplitStep on_dash(SplitBehavior behavior, bool invert = false) {
  return {{"-", false}, behavior, invert};
}

// The examples of the documentation of Hugging Face's tokenizers, and what it does at the ends.
TEST(PreTokenizer, SplitBehaviors) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(split({on_dash(SplitBehavior::kRemoved)}, text),
              ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kIsolated)}, text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kMergedWithPrevious)}, text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kMergedWithNext)}, text),
              ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kContiguous)}, text),
              ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(PreTokenizer, SplitAtTheEnds) {
  EXPECT_THAT(split({on_dash(SplitBehavior::kMergedWithNext)}, "-a-"), ElementsAre("-a", "-"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kMergedWithPrevious)}, "-a-"), ElementsAre("-", "a-"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kRemoved)}, "--"), ElementsAre());
  EXPECT_THAT(split({on_dash(SplitBehavior::kIsolated)}, ""), ElementsAre());
}

TEST(PreTokenizer, InvertedSplit) {
  EXPECT_THAT(split({on_dash(SplitBehavior::kRemoved, true)}, "a-b--"), ElementsAre("-", "-", "-"));
  EXPECT_THAT(split({on_dash(SplitBehavior::kContiguous, true)}, "a--b"),
              ElementsAre("a", "--", "b"));
}

TEST(PreTokenizer, Digits) {
  EXPECT_THAT(split({DigitsStep{true}}, "a12 ½٣b"), ElementsAre("a", "1", "2", " ", "½", "٣", "b"));
  EXPECT_THAT(split({DigitsStep{false}}, "a12 3"), ElementsAre("a", "12", " ", "3"));
}

TEST(PreTokenizer, StepsFollowEachOther) {
  EXPECT_THAT(split({DigitsStep{true}, ByteLevelStep{false, true}}, "year 1999, ok"),
              ElementsAre("year", " ", "1", "9", "9", "9", ",", " ok"));
}

TEST(PreTokenizer, ByteLevel) {
  EXPECT_THAT(split({ByteLevelStep{false, true}}, "I'll  go\n\n x"),
              ElementsAre("I", "'ll", " ", " go", "\n\n", " x"));
  EXPECT_THAT(split({ByteLevelStep{false, false}}, "one word"), ElementsAre("one word"));
  EXPECT_THAT(split({ByteLevelStep{true, true}}, "go"), ElementsAre(" go"));
  EXPECT_THAT(split({ByteLevelStep{true, true}}, " go"), ElementsAre(" go"));
  EXPECT_THAT(split({ByteLevelStep{true, true}}, "go", {false, true}), ElementsAre("go"));
}

TEST(PreTokenizer, Metaspace) {
  using Prepend = MetaspaceStep::Prepend;
  EXPECT_THAT(split({MetaspaceStep{"▁", Prepend::kAlways, true}}, "a b  c"),
              ElementsAre("▁a", "▁b", "▁", "▁c"));
  EXPECT_THAT(split({MetaspaceStep{"▁", Prepend::kAlways, false}}, " a b"), ElementsAre("▁a▁b"));
  EXPECT_THAT(split({MetaspaceStep{"▁", Prepend::kFirst, false}}, "a"), ElementsAre("▁a"));
  EXPECT_THAT(split({MetaspaceStep{"▁", Prepend::kFirst, false}}, "a", {false, false}),
              ElementsAre("a"));
  EXPECT_THAT(split({MetaspaceStep{"▁", Prepend::kAlways, false}}, "a", {false, true}),
              ElementsAre("a"));
  EXPECT_THAT(split({MetaspaceStep{"▁", Prepend::kNever, false}}, "a b"), ElementsAre("a▁b"));
}

TEST(PreTokenizer, NothingFollowsByteLevel) {
  try {
    split({ByteLevelStep{}, DigitsStep{}}, "a");
    FAIL();
  } catch (const IoError& error) {
    EXPECT_STREQ(error.what(), "test: steps follow ByteLevel; as the last step it would be right");
  }
}

NormalizerStep prepend(std::string text) {
  return PrependStep{std::move(text)};
}
NormalizerStep replace(std::string text, bool is_regex, std::string content) {
  return ReplaceStep{{std::move(text), is_regex}, std::move(content)};
}

std::string normalize(const std::vector<NormalizerStep>& steps, std::string_view text,
                      bool continues = false) {
  return Normalizer(steps, "test").apply(text, continues);
}

TEST(Normalizer, Steps) {
  EXPECT_EQ(normalize({prepend("▁"), replace(" ", false, "▁")}, "a b"), "▁a▁b");
  EXPECT_EQ(normalize({prepend("▁")}, ""), "");
  EXPECT_EQ(normalize({prepend("▁")}, "a", true), "a");
  EXPECT_EQ(normalize({replace("a+", true, "<>")}, "aabaca"), "<>b<>c<>");
  EXPECT_EQ(normalize({replace("ab", false, "")}, "xababy"), "xy");
  EXPECT_TRUE(Normalizer({}, "test").empty());
}

TEST(Normalizer, CanonicalComposition) {
  EXPECT_EQ(to_nfc("plain"), "plain");
  EXPECT_EQ(to_nfc("e\u0301 \u1100\u1161 \u212B \uFB01"), "é \uAC00 \u00C5 \uFB01");
  EXPECT_EQ(to_nfc("s\u0307\u0323"), "\u1E69");
  EXPECT_EQ(to_nfc(std::string("a\0e\u0301", 5)), std::string("a\0\u00E9", 4));
}

// Marks that `tokenizers` does not know stay where they are, and nothing moves across them.
TEST(Normalizer, MarksOfNewerUnicodeAreLetters) {
  EXPECT_EQ(to_nfc("x\u0345\u0334"), "x\u0334\u0345");
  EXPECT_EQ(to_nfc("x\u1ABF\u0334"), "x\u1ABF\u0334");
  EXPECT_EQ(to_nfc("e\u1ABF\u0301"), "e\u1ABF\u0301");
  EXPECT_EQ(to_nfc("\U00011935\U00011930"), "\U00011935\U00011930");
}

TEST(Normalizer, EmptyPatternIsAnError) {
  try {
    normalize({replace("", false, "x")}, "a");
    FAIL();
  } catch (const IoError& error) {
    EXPECT_STREQ(error.what(), "test: a pattern is an empty string; one to find would be right");
  }
}

}  // namespace
}  // namespace varve
