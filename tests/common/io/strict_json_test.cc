#include "common/io/strict_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/io_error.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string message(std::string_view text, std::size_t max_depth = 64) {
  return io_error([&] { parse_strict_json(text, "f.json", max_depth); });
}

TEST(StrictJson, ParsesWhatJsonIs) {
  const nlohmann::json value =
      parse_strict_json(R"({"a": [1, -2, 3.5, null, true, "x"], "b": {"a": {}}})", "f.json");
  EXPECT_EQ(value["a"][1], -2);
  EXPECT_EQ(value["a"].size(), 6U);
  EXPECT_TRUE(value["b"]["a"].empty());
}

TEST(StrictJson, SaysWhereSyntaxIsWrong) {
  EXPECT_THAT(message("{\"a\": 1,\n \"b\": }"),
              StartsWith("f.json: is not JSON: at line 2, column 7: syntax error"));
  EXPECT_THAT(message(""), HasSubstr("unexpected end of input"));
  EXPECT_THAT(message("{} {}"), HasSubstr("f.json: is not JSON: at line 1, column 4"));
  EXPECT_THAT(message("[1e999]"), HasSubstr("f.json: is not JSON"));
  EXPECT_THAT(message("[\"\xff\"]"), HasSubstr("ill-formed UTF-8 byte; last read: '\"\\xff'"));
}

TEST(StrictJson, RefusesAKeyThatStandsTwice) {
  EXPECT_EQ(message(R"({"a": {"b": 1, "c": [2], "b": 1}})"),
            "f.json: key 'a.b' stands twice in one object; once would be right");
  EXPECT_EQ(message(R"({"x": [{"": 1, "y": 2, "y": 3}]})"),
            "f.json: key 'x.y' stands twice in one object; once would be right");
  EXPECT_NO_THROW(parse_strict_json(R"([{"a": 1}, {"a": 1, "b": {"a": 1}}])", "f.json"));
}

TEST(StrictJson, LimitsNesting) {
  EXPECT_NO_THROW(parse_strict_json(R"({"a": [[1]]})", "f.json", 3));
  EXPECT_EQ(message(R"({"a": [[[1]]]})", 3), "f.json: 'a' is nested deeper than 3 levels");
  EXPECT_THAT(message(std::string(1'000'000, '[')), HasSubstr("nested deeper than 64 levels"));
}

TEST(StrictJson, CutsLongMessages) {
  EXPECT_LT(message("{\"a\": " + std::string(100'000, 'x')).size(), 400U);
  EXPECT_LT(message("{\"a\": \"" + std::string(100'000, 'x')).size(), 400U);
}

}  // namespace
}  // namespace varve
