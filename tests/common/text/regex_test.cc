#include "common/text/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/utf8.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> all_matches(std::string_view pattern, std::string_view text) {
  const Regex regex(pattern, "test");
  Regex::Matcher matcher(regex);
  matcher.set_text(text);
  std::vector<std::string> found;
  while (const auto match = matcher.next()) {
    found.emplace_back(text.substr(match->begin, match->end - match->begin));
  }
  return found;
}

TEST(Regex, FindsFromLeftToRight) {
  EXPECT_THAT(all_matches(R"(\p{L}+|\d)", "ab1 é22"), ElementsAre("ab", "1", "é", "2", "2"));
  EXPECT_THAT(all_matches("x", ""), ElementsAre());
  EXPECT_THAT(all_matches("(?i:'s)", "'s 'S '\u017F"), ElementsAre("'s", "'S", "'\u017F"));
}

// As Oniguruma's walk over matches does: not twice in one place, and on by a whole character.
TEST(Regex, EmptyMatches) {
  EXPECT_THAT(all_matches("a*", "baac"), ElementsAre("", "aa", ""));
  EXPECT_THAT(all_matches("(?=é)", "éé"), ElementsAre("", ""));
}

TEST(Regex, SpacesAndWordsAreThoseOfUnicode) {
  EXPECT_THAT(all_matches(R"(\s)", "a\u00A0\u0085\u3000\u180E"),
              ElementsAre("\u00A0", "\u0085", "\u3000"));
  EXPECT_THAT(all_matches(R"([^\s]+)", "a\u2003b\u180Ec"), ElementsAre("a", "b\u180Ec"));
  EXPECT_THAT(all_matches(R"(\S+)", "a\u2003b"), ElementsAre("a", "b"));
  EXPECT_THAT(all_matches(R"([\S]+)", "a\u2003b"), ElementsAre("a", "b"));
  EXPECT_THAT(all_matches(R"(\w+)", "a\u0301_1-x\u00B2"), ElementsAre("a\u0301_1", "x"));
  EXPECT_THAT(all_matches(R"(\W)", "a-b"), ElementsAre("-"));
}

TEST(Regex, NewerLettersAndNumbers) {
  EXPECT_THAT(all_matches(R"(\p{L}+)", "a\U00011F04z"), ElementsAre("a\U00011F04z"));
  EXPECT_THAT(all_matches(R"([^\p{L}\p{N}]+)", "-\U00011F04\U00011F50-"), ElementsAre("-", "-"));
  EXPECT_THAT(all_matches(R"(\P{N}+)", "-\U00011F50-"), ElementsAre("-", "-"));
  EXPECT_THAT(all_matches(R"(\p{^Letter})", "a\U00011F04-"), ElementsAre("-"));
}

TEST(Regex, OnigurumaSyntax) {
  EXPECT_THAT(all_matches(R"(\u00e9|\v|[[:digit:]]|[]x])", "é\v7]"),
              ElementsAre("é", "\v", "7", "]"));
  EXPECT_THAT(all_matches(R"(^.)", "a\nb"), ElementsAre("a", "b")) << "^ is at each line's start";
}

std::string refusal(std::string_view pattern) {
  try {
    const Regex regex(pattern, "f.json: pre_tokenizer");
  } catch (const IoError& error) {
    return error.what();
  }
  return "taken";
}

TEST(Regex, RefusesWhatMeansSomethingElse) {
  EXPECT_EQ(refusal(R"(a\h)"),
            R"(f.json: pre_tokenizer: the regular expression 'a\h' has the escape '\h', which )"
            "varve does not translate to PCRE2");
  EXPECT_THAT(refusal("[a&&b]"), HasSubstr("&& in a class"));
  EXPECT_THAT(refusal("[a[b]]"), HasSubstr("a class in a class"));
  EXPECT_THAT(refusal("(?m:.)"), HasSubstr("the group option 'm'"));
  EXPECT_THAT(refusal("(*UTF)a"), HasSubstr("a verb (*"));
  EXPECT_THAT(refusal("(?C1)a"), HasSubstr("a callout"));
  EXPECT_THAT(refusal("[\\P{L}]"), HasSubstr("a negated class in a class"));
  EXPECT_THAT(refusal("\\p{L"), HasSubstr("\\p without {}"));
  EXPECT_THAT(refusal("\\pL"), HasSubstr("\\p without {}"));
  EXPECT_THAT(refusal("\\u12"), HasSubstr("\\u without four"));
  EXPECT_THAT(refusal("[[:alpha"), HasSubstr("[: without :]"));
  EXPECT_THAT(refusal("a\\"), HasSubstr("a \\ at its end"));
  EXPECT_THAT(refusal("(a"), HasSubstr("is not one: missing closing parenthesis"));
  EXPECT_THAT(refusal(std::string(10001, 'a')), HasSubstr("has 10001 bytes; varve takes 10000"));
}

TEST(Regex, GivesUpOnExponentialWork) {
  const std::string text(60, 'a');
  try {
    all_matches("(a|aa|a+)+[bc]", text);
    FAIL() << "found a match, or none, after all";
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr("gave up at byte 0 of a text of 60 bytes: match limit"));
  }
}

TEST(Regex, LongRunsNeedFewSteps) {
  const std::string text = std::string(3'000'000, ' ') + "x";
  const auto found = all_matches(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", text);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].size(), 2'999'999U);
  EXPECT_THAT(all_matches(R"((?:\p{L}|,)+)", std::string(500'000, 'w')).size(), 1U);
}

}  // namespace
}  // namespace varve
