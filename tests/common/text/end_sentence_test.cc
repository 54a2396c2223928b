#include "common/text/end_sentence.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

std::string ended(std::string text) {
  end_sentence(text);
  return text;
}

TEST(EndSentence, AddsAStopWhereTheTextBreaksOff) {
  EXPECT_EQ(ended("In the beginning"), "In the beginning.");
  EXPECT_EQ(ended("In the beginning \n\n"), "In the beginning.");
  EXPECT_EQ(ended("one, two,"), "one, two,.");
  EXPECT_EQ(ended("(in brackets)"), "(in brackets).");
}

TEST(EndSentence, LeavesAWholeSentenceAlone) {
  for (const char* text : {"Amen.", "Amen.\n", "Amen! ", "Who?", "He said, \u201cAmen.\u201d\n",
                           "(It ends.)", "\u7d42\u308f\u308a\u3002", "And so on\u2026"}) {
    EXPECT_EQ(ended(text), text);
  }
}

TEST(EndSentence, LeavesNothingAlone) {
  EXPECT_EQ(ended(""), "");
  EXPECT_EQ(ended(" \n"), " \n");
  EXPECT_EQ(ended("\""), "\".");
}

}  // namespace
}  // namespace varve
