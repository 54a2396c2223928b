#include "coordinator/eval/document_cut.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/error.h"
#include "tests/coordinator/bench/message.h"
#include "tests/coordinator/eval/text.h"

namespace varve {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

std::vector<std::string> texts(const SourceText& source) {
  std::vector<std::string> list;
  for (const auto& s : source.sentences()) list.emplace_back(s.text);
  return list;
}

TEST(SourceText, SentencesEndAtMarksBeforeWhiteSpace) {
  const SourceText source("Ge1:1 It was 3.5 miles.  \"Was it?\" (Yes!)\n\nTo\nbe. An end without",
                          "x", count_words);
  EXPECT_THAT(texts(source),
              ElementsAre("Ge1:1 It was 3.5 miles.", "\"Was it?\"", "(Yes!)", "To\nbe."));
  EXPECT_EQ(source.sentences()[0].tokens, 5U);
  EXPECT_EQ(source.tokens(), 10U);
  EXPECT_FALSE(source.sentences()[0].ends_line);
  EXPECT_TRUE(source.sentences()[2].ends_line);
  EXPECT_FALSE(source.sentences()[3].ends_line);
  EXPECT_THAT(source.by_tokens(), ElementsAre(2U, 1U, 3U, 0U));
}

TEST(SourceText, QuotesOfOtherScriptsBelongToTheSentence) {
  const SourceText source("\u201cSo be it.\u201d \u00abSo?\u00bb Done.", "x", count_words);
  EXPECT_THAT(texts(source), ElementsAre("\u201cSo be it.\u201d", "\u00abSo?\u00bb", "Done."));
}

TEST(SourceText, WordsAreSmallLettersAlone) {
  const SourceText source("House house houses, ox na\u00efve words-words elephants Tree tree9 end.",
                          "x", count_words);
  EXPECT_THAT(source.words(), ElementsAre("house", "houses", "tree", "words"));
}

TEST(SourceText, NoSentenceIsAnError) {
  for (const char* text : {"", " \n", "No end", "3.5"}) {
    EXPECT_THAT(message_of([&] { SourceText(text, "book.txt", count_words); }),
                HasSubstr("book.txt: has no sentence that ends with"))
        << text;
  }
}

TEST(DocumentCut, MeetsEveryLengthWithinTheTolerance) {
  const auto source = source_of(2000);
  for (std::size_t tokens = 30; tokens < 900; tokens += 17) {
    const auto count = [](std::string_view text) { return count_words(text) + 5; };
    const std::string document =
        cut_document(*source, tokens * 3 % 2000, {}, tokens, count, Random(tokens));
    EXPECT_LE(count(document), tokens);
    EXPECT_GE(count(document) + kLengthTolerance, tokens);
    EXPECT_THAT(document, EndsWith("."));
  }
}

TEST(DocumentCut, FactsStandWhereTheyAreToBe) {
  const auto source = source_of(500);
  const std::vector<Fact> facts = {{0, "First fact."}, {0.5, "Second fact."}, {1, "Last fact."}};
  const std::string document = cut_document(*source, 10, facts, 400, count_words, Random(1));
  EXPECT_EQ(document.find("First fact."), 0U);
  EXPECT_THAT(document, EndsWith("Last fact."));
  const auto middle = static_cast<double>(document.find("Second fact."));
  EXPECT_NEAR(middle / static_cast<double>(document.size()), 0.5, 0.1);
  EXPECT_LE(count_words(document), 400U);
  EXPECT_GE(count_words(document) + kLengthTolerance, 400U);
}

TEST(DocumentCut, BeginsWhereItIsTold) {
  const auto source = source_of(500);
  EXPECT_EQ(cut_document(*source, 123, {}, 100, count_words, Random(1)).find("Verse123 was"), 0U);
  // Behind the last sentence comes the first.
  EXPECT_THAT(cut_document(*source, 499, {}, 100, count_words, Random(1)), HasSubstr("Verse0 was"));
}

TEST(DocumentCut, TooShortATextOrALength) {
  const auto source = source_of(10);
  EXPECT_THAT(
      message_of([&] { cut_document(*source, 0, {}, 1000, count_words, Random(1)); }),
      HasSubstr("book.txt: has about 75 tokens, and a document of 1000 is to be cut from it"));
  const std::vector<Fact> facts = {{0.5, "A fact that has more than eight words in it."}};
  EXPECT_THAT(message_of([&] { cut_document(*source, 0, facts, 8, count_words, Random(1)); }),
              HasSubstr("8 tokens hold no document"));
}

// Sentences of few lengths fill the room that is left with the same lengths again and again.
TEST(DocumentCut, IsNeverStuckAboveItsLength) {
  std::string text;
  for (std::size_t i = 0; i < 200; ++i) {
    text += "The";
    for (std::size_t word = 0; word < 3 + i % 5; ++word) text += " river";
    text += ". ";
  }
  const auto bytes = [](std::string_view t) { return t.size(); };
  const SourceText source(text, "book.txt", bytes);
  const std::vector<Fact> facts = {{0.5, std::string(100, 'x') + "."}};
  for (std::size_t tokens = 300; tokens < 500; tokens += 7) {
    for (std::size_t first = 0; first < 20; ++first) {
      const std::string document = cut_document(source, first, facts, tokens, bytes, Random(first));
      EXPECT_LE(document.size(), tokens) << first;
      EXPECT_GT(document.size(), tokens - 50) << tokens << ", " << first;
    }
  }
}

TEST(FirstSentence, SamplesAreSpreadWhateverTheirNumber) {
  const auto source = source_of(4000);
  std::set<std::size_t> firsts;
  for (std::uint64_t i = 0; i < 40; ++i) firsts.insert(first_sentence(*source, 7, i));
  ASSERT_EQ(firsts.size(), 40U);
  std::size_t before = *firsts.rbegin() - 4000;
  for (const std::size_t first : firsts) {
    // Even would be 100 apart.
    EXPECT_GE(first - before, 4000U / 40 / 3);
    before = first;
  }
  EXPECT_NE(first_sentence(*source, 7, 0), first_sentence(*source, 8, 0));
}

}  // namespace
}  // namespace varve
