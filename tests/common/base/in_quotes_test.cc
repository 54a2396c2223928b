#include "common/in_quotes.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(InQuotes, KeepsWhatCanBeRead) {
  EXPECT_EQ(in_quotes(""), "''");
  EXPECT_EQ(in_quotes("plain, 'quoted' and \\"), "'plain, 'quoted' and \\'");
  EXPECT_EQ(in_quotes("Gr\xc3\xb6\xc3\x9f"
                      "e \xe2\x82\xac \xf0\x9f\x98\x80"),
            "'Gr\xc3\xb6\xc3\x9f"
            "e \xe2\x82\xac \xf0\x9f\x98\x80'");
}

TEST(InQuotes, EscapesControlCharacters) {
  EXPECT_EQ(in_quotes("a\nb\x1b[0m"), "'a\\nb\\x1b[0m'");
  EXPECT_EQ(in_quotes(std::string_view("\0\t\x7f", 3)), "'\\x00\\x09\\x7f'");
  // U+009B is what ESC [ stands for in eight bits.
  EXPECT_EQ(in_quotes("\xc2\x9b"), "'\\xc2\\x9b'");
}

TEST(InQuotes, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(in_quotes("a\xff"), "'a\\xff'");
  EXPECT_EQ(in_quotes("\xe2\x82"), "'\\xe2\\x82'");
}

TEST(InQuotes, CutsWholeCharacters) {
  EXPECT_EQ(in_quotes(std::string(80, 'x')), "'" + std::string(80, 'x') + "'");
  EXPECT_EQ(in_quotes(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
  EXPECT_EQ(in_quotes("ab\xe2\x82\xac", 5), "'ab\xe2\x82\xac'");
  EXPECT_EQ(in_quotes("abc\xe2\x82\xac", 5), "'abc...'");
}

}  // namespace
}  // namespace varve
