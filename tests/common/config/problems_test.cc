#include "common/config/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "common/error.h"

namespace varve {
namespace {

using testing::ElementsAre;

TEST(Problems, SortsByPlaceAndKeepsFilesInOrder) {
  Problems problems;
  problems.add({"job.yaml", 9, 1}, "b", "late");
  problems.add({"cluster.yaml", 1, 1}, "", "other file");
  problems.add({"job.yaml", 2, 5}, "a", "early");
  problems.add({"job.yaml", 0, 0}, "", "as a whole");
  EXPECT_THAT(problems.lines(),
              ElementsAre("job.yaml: as a whole", "job.yaml:2:5: a: early", "job.yaml:9:1: b: late",
                          "cluster.yaml:1:1: other file"));
}

TEST(Problems, CountsWhatItDoesNotKeep) {
  Problems problems;
  for (std::uint32_t i = 1; i <= 150; ++i) problems.add({"f", i, 1}, "", "wrong");
  EXPECT_EQ(problems.count(), 150U);
  ASSERT_EQ(problems.lines().size(), 101U);
  EXPECT_EQ(problems.lines().back(), "and 50 more problems");
}

TEST(Problems, ThrowsOneErrorOfAllLines) {
  Problems problems;
  EXPECT_NO_THROW(problems.throw_if_any());
  problems.add({"f", 1, 2}, "a", "x");
  problems.add({"f", 3, 4}, "b", "y");
  EXPECT_THAT([&] { problems.throw_if_any(); },
              testing::ThrowsMessage<ConfigError>("f:1:2: a: x\nf:3:4: b: y"));
}

TEST(Names, FindTheNearest) {
  constexpr std::array<std::string_view, 5> kKnown = {"questions", "temperature", "max_tokens",
                                                      "top_k", "top_p"};
  EXPECT_EQ(nearest_name("questons", kKnown), "questions");
  EXPECT_EQ(nearest_name("quesitons", kKnown), "questions");
  EXPECT_EQ(nearest_name("temp", kKnown), "temperature");
  EXPECT_EQ(nearest_name("Max-Tokens", kKnown), "max_tokens");
  EXPECT_EQ(nearest_name("topp", kKnown), "top_p");
  EXPECT_EQ(nearest_name("top_", kKnown), "top_k");
  EXPECT_EQ(nearest_name("cluster", kKnown), "");
  EXPECT_EQ(nearest_name("", kKnown), "");
  EXPECT_EQ(nearest_name(std::string(100000, 'q'), kKnown), "");
}

TEST(Names, HintListsTheKnown) {
  constexpr std::array<std::string_view, 2> kKnown = {"f16", "bf16"};
  EXPECT_EQ(name_hint("fp16", kKnown), "; did you mean 'f16'?; known: f16, bf16");
  EXPECT_EQ(name_hint("int4", kKnown), "; known: f16, bf16");
}

}  // namespace
}  // namespace varve
