#include "coordinator/bench/bench_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/bench/message.h"

namespace varve {
namespace {

using test::message_of;
using testing::ElementsAre;

std::vector<std::string> names(const BenchLists& lists) {
  std::vector<std::string> names;
  for (const BenchCase& c : bench_cases(lists)) names.push_back(name_of(c));
  return names;
}

TEST(BenchCases, AreNamedAsLlamaBenchNamesThem) {
  EXPECT_THAT(names({}), ElementsAre("pp512", "tg32"));
  EXPECT_THAT(names({.depths = {0, 4096}}),
              ElementsAre("pp512", "tg32", "pp512 @ d4096", "tg32 @ d4096"));
}

TEST(BenchCases, SequencesAreForGeneratingAlone) {
  EXPECT_THAT(names({.prompts = {7}, .generates = {2, 3}, .depths = {5}, .sequences = {1, 8}}),
              ElementsAre("pp7 @ d5", "tg2 @ d5", "tg2 b8 @ d5", "tg3 @ d5", "tg3 b8 @ d5"));
}

TEST(BenchCases, EachDepthComesOnceAndEachCaseToo) {
  EXPECT_THAT(names({.prompts = {4, 4}, .generates = {0}, .depths = {9, 0, 9}}),
              ElementsAre("pp4", "pp4 @ d9"));
}

TEST(BenchCases, NothingLeft) {
  EXPECT_EQ(message_of([] { bench_cases({.prompts = {0}, .generates = {0}}); }),
            "-p 0 and -n 0 leave nothing to measure; give one of them a count of tokens");
}

TEST(ParseCounts, ListsOfNumbers) {
  EXPECT_THAT(parse_counts("-d", "0", 0, 9), ElementsAre(0));
  EXPECT_THAT(parse_counts("-d", "3,0,9", 0, 9), ElementsAre(3, 0, 9));
}

TEST(ParseCounts, WhatIsNoNumberOrOutOfRange) {
  const auto message = [](std::string_view text) {
    return message_of([&] { parse_counts("-b", text, 1, 64); });
  };
  EXPECT_EQ(message("1,x"),
            "-b '1,x': 'x' is not a whole number from 1 to 64; several are given with commas, such "
            "as -b 1,2");
  for (const char* text :
       {"", ",", "1,", ",1", "0", "65", "-1", "1.5", " 1", "1 ", "99999999999"}) {
    EXPECT_THAT(message(text), testing::HasSubstr("is not a whole number from 1 to 64")) << text;
  }
}

TEST(CheckCases, EveryCaseThatIsTooMuch) {
  const BenchLists lists{.prompts = {10}, .generates = {3}, .depths = {0, 8}, .sequences = {1, 6}};
  const std::vector<BenchCase> cases = bench_cases(lists);
  EXPECT_NO_THROW(check_cases(cases, "m", 18, 6));
  EXPECT_EQ(message_of([&] { check_cases(cases, "m", 17, 5); }),
            "tg3 b6 needs steps of 6 rows, and --chunk is 5\n"
            "pp10 @ d8 needs 18 tokens of context, and m has 17\n"
            "tg3 b6 @ d8 needs steps of 6 rows, and --chunk is 5");
}

}  // namespace
}  // namespace varve
