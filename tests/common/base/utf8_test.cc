#include "common/utf8.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

const std::string kBad = "\uFFFD";

TEST(Utf8, EveryCodePointComesBack) {
  for (char32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    append_utf8(text, value);
    const CodePoint point = decode_utf8(text, 0);
    ASSERT_TRUE(point.valid && point.value == value && point.length == text.size())
        << static_cast<unsigned>(value);
  }
}

// What Python's bytes.decode(errors="replace") gives.

TEST(Utf8, IllFormedBytesAreReplacedByMaximalSubparts) {
  const std::pair<std::string_view, std::string> cases[] = {
      {"\x80", kBad},
      {"a\xC3", "a" + kBad},
      {"\xC3(", kBad + "("},
      {"\xE2\x82", kBad},
      {"\xE2\x82x", kBad + "x"},
      {"\xF0\x9F\x98", kBad},
      {"\xF0\x9F\x98\xE2\x82", kBad + kBad},
      {"\xC0\xAF", kBad + kBad},
      {"\xE0\x80\xAF", kBad + kBad + kBad},
      {"\xED\xA0\x80", kBad + kBad + kBad},
      {"\xF0\x8F\xBF\xBF", kBad + kBad + kBad + kBad},
      {"\xF4\x90\x80\x80", kBad + kBad + kBad + kBad},
      {"\xF5\xFF", kBad + kBad},
      {"\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(replace_invalid_utf8(bytes), expected);
    EXPECT_EQ(is_valid_utf8(bytes), bytes == expected);
    EXPECT_TRUE(is_valid_utf8(replace_invalid_utf8(bytes)));
  }
}

TEST(Utf8, TruncatedMeansThatMoreBytesCouldComplete) {
  const std::string text = "\xF0\x9F\x98\x80";
  for (std::size_t size = 1; size < text.size(); ++size) {
    const CodePoint point = decode_utf8(std::string_view(text).substr(0, size), 0);
    EXPECT_TRUE(point.truncated && !point.valid);
    EXPECT_EQ(point.length, size);
  }
  EXPECT_FALSE(decode_utf8("\xF0\x9F(", 0).truncated);
  EXPECT_FALSE(decode_utf8("\xFF", 0).truncated);
}

TEST(Utf8, ThePrefixEndsBeforeTheFirstWrongByte) {
  EXPECT_EQ(valid_utf8_prefix(""), 0U);
  EXPECT_EQ(valid_utf8_prefix("ab\u20AC"), 5U);
  EXPECT_EQ(valid_utf8_prefix("ab\u20AC\xFF..."), 5U);
  EXPECT_EQ(valid_utf8_prefix("ab\xE2\x82"), 2U);
  EXPECT_TRUE(is_valid_utf8("ab\u20AC"));
  EXPECT_FALSE(is_valid_utf8("ab\xE2\x82"));
}

TEST(Utf8, TrimTakesSpacesOfAllKinds) {
  EXPECT_EQ(trim(" \t\r\n\v\f\x1C\u00A0\u2003\u3000 a b\u2028\u0085 "), "a b");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim(" \u3000"), "");
  EXPECT_EQ(trim("\u200B"), "\u200B") << "a zero-width space is none";
  EXPECT_EQ(trim("a\x80 "), "a\x80");
}

}  // namespace
}  // namespace varve
