#include "common/config/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "common/error.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using namespace literals;
using namespace std::chrono_literals;
using testing::HasSubstr;

enum class Colour { kRed, kGreen };
constexpr std::array kColours = {Named<Colour>{"red", Colour::kRed},
                                 Named<Colour>{"green", Colour::kGreen}};

/// Reads one key `v` of a map by `read`, and gives the problems.
template <class Read>
std::string problems_of(const std::string& value, const Read& read) {
  Problems problems;
  const ConfigDocument document("f.yaml", "v: " + value + "\n", {}, problems);
  document.root().read_map([&](ConfigMap& map) { read(map.at("v")); });
  return joined(problems);
}

template <class T, class... Range>
std::string read_as(T& out, const std::string& value, Range... range) {
  return problems_of(value, [&](const ConfigNode& node) {
    const T before = out;
    const bool set = node.read(out, range...);
    EXPECT_TRUE(set || out == before) << "a refused value must leave the default alone";
  });
}

TEST(Reader, Integers) {
  std::uint32_t out = 7;
  EXPECT_EQ(read_as(out, "65536", 1U, 65536U), "");
  EXPECT_EQ(out, 65536U);
  const std::string whole = "f.yaml:1:1: v: must be a whole number between 1 and 65536, is ";
  const std::string range = "f.yaml:1:1: v: must be between 1 and 65536, is ";
  EXPECT_EQ(read_as(out, "0", 1U, 65536U), range + "0");
  EXPECT_EQ(read_as(out, "65537", 1U, 65536U), range + "65537");
  EXPECT_EQ(read_as(out, "-3", 1U, 65536U), range + "-3");
  EXPECT_EQ(read_as(out, "99999999999999999999999", 1U, 65536U), range + "99999999999999999999999");
  EXPECT_EQ(read_as(out, "1.5", 1U, 65536U), whole + "1.5");
  EXPECT_EQ(read_as(out, "many", 1U, 65536U), whole + "the text 'many'");
  EXPECT_EQ(read_as(out, "'5'", 1U, 65536U), whole + "the text '5'");
  EXPECT_EQ(read_as(out, "[1, 2]", 1U, 65536U), whole + "a list of 2");
  EXPECT_EQ(read_as(out, "{a: 1, b: 2}", 1U, 65536U), whole + "a map of 'a', 'b'");
  EXPECT_EQ(read_as(out, "", 1U, 65536U), whole + "empty");
  EXPECT_EQ(read_as(out, "~", 1U, 65536U), whole + "empty");
  EXPECT_EQ(read_as(out, "0x10", 1U, 65536U), whole + "the text '0x10'");
}

TEST(Reader, LargestInteger) {
  std::uint64_t out = 0;
  EXPECT_EQ(read_as(out, "18446744073709551615", 0U, UINT64_MAX), "");
  EXPECT_EQ(out, UINT64_MAX);
  EXPECT_THAT(read_as(out, "18446744073709551616", 0U, UINT64_MAX), HasSubstr("must be between"));
}

TEST(Reader, Numbers) {
  float out = 1;
  EXPECT_EQ(read_as(out, "0.25", 0., 2.), "");
  EXPECT_EQ(out, 0.25F);
  EXPECT_EQ(read_as(out, "1e-3", 0., 2.), "");
  EXPECT_EQ(out, 0.001F);
  EXPECT_EQ(read_as(out, "2.5", 0., 2.), "f.yaml:1:1: v: must be between 0 and 2, is 2.5");
  for (const char* text : {"hot", ".nan", "nan", "inf", ".inf", "'1'", "1,5", "1e999", "[]"}) {
    EXPECT_THAT(read_as(out, text, 0., 2.), HasSubstr("v: must be a number between 0 and 2, is "))
        << text;
  }
}

TEST(Reader, Booleans) {
  bool out = false;
  EXPECT_EQ(read_as(out, "true"), "");
  EXPECT_TRUE(out);
  EXPECT_EQ(read_as(out, "false"), "");
  EXPECT_FALSE(out);
  EXPECT_EQ(read_as(out, "yes"), "f.yaml:1:1: v: must be true or false, is the text 'yes'");
  EXPECT_EQ(read_as(out, "\"true\""), "f.yaml:1:1: v: must be true or false, is the text 'true'");
  EXPECT_EQ(read_as(out, "1"), "f.yaml:1:1: v: must be true or false, is 1");
}

TEST(Reader, Texts) {
  std::string out = "default";
  EXPECT_EQ(read_as(out, "7"), "");
  EXPECT_EQ(out, "7");
  EXPECT_EQ(read_as(out, "\"\""), "");
  EXPECT_EQ(out, "");
  EXPECT_EQ(read_as(out, "'null'"), "");
  EXPECT_EQ(out, "null");
  EXPECT_EQ(read_as(out, "null"), "f.yaml:1:1: v: must be a text, is empty");
  EXPECT_EQ(read_as(out, "|\n  two\n  lines"), "");
  EXPECT_EQ(out, "two\nlines\n");
}

TEST(Reader, Sizes) {
  Bytes out;
  EXPECT_EQ(read_as(out, "1.5 GiB", 1_MiB, 2_GiB), "");
  EXPECT_EQ(out, 1536_MiB);
  EXPECT_EQ(read_as(out, "3GiB", 1_MiB, 2_GiB),
            "f.yaml:1:1: v: must be a size between 1 MiB and 2 GiB, is the text '3GiB'");
  EXPECT_EQ(
      read_as(out, "3 gigs", 1_MiB, 2_GiB),
      "f.yaml:1:1: v: must be a size between 1 MiB and 2 GiB: '3 gigs' is not a size; write a "
      "number and a unit, such as 512MiB or 8GiB");
}

TEST(Reader, Durations) {
  std::chrono::milliseconds out{};
  EXPECT_EQ(read_as(out, "1.5s", 1ms, 10ms * 1000), "");
  EXPECT_EQ(out, 1500ms);
  EXPECT_EQ(read_as(out, "1min", 1ms, 10ms * 1000),
            "f.yaml:1:1: v: must be a duration between 1 ms and 10 s, is the text '1min'");
  EXPECT_THAT(read_as(out, "5", 1ms, 10ms * 1000), HasSubstr("'5' is not a duration"));
}

TEST(Reader, NamesOfAnEnumeration) {
  Colour out = Colour::kRed;
  const auto read = [&](const ConfigNode& node) { node.read(out, kColours); };
  EXPECT_EQ(problems_of("green", read), "");
  EXPECT_EQ(out, Colour::kGreen);
  EXPECT_EQ(problems_of("gren", read),
            "f.yaml:1:1: v: unknown value 'gren'; did you mean 'green'?; known: red, green");
  EXPECT_EQ(problems_of("[red]", read), "f.yaml:1:1: v: must be one of red, green, is a list of 1");
  EXPECT_EQ(out, Colour::kGreen);
}

TEST(Reader, AutoOrAValue) {
  std::optional<std::uint32_t> count = 3;
  const auto read = [&](const ConfigNode& node) { node.read_or_auto(count, 1, 8); };
  EXPECT_EQ(problems_of("9", read), "f.yaml:1:1: v: must be auto or between 1 and 8, is 9");
  EXPECT_EQ(problems_of("all", read),
            "f.yaml:1:1: v: must be auto or a whole number between 1 and 8, is the text 'all'");
  EXPECT_EQ(count, 3U);
  EXPECT_EQ(problems_of("auto", read), "");
  EXPECT_EQ(count, std::nullopt);
  EXPECT_EQ(problems_of("8", read), "");
  EXPECT_EQ(count, 8U);
}

TEST(Reader, Paths) {
  std::filesystem::path out;
  Problems problems;
  const ConfigDocument document("some/where/f.yaml",
                                "a: x/../b.txt\nb: /c\nc: ~/d\nd: ''\ne: ~else/f\nf: \"x\\0y\"\n",
                                {}, problems);
  std::vector<std::string> paths;
  ::setenv("HOME", "/home/me", 1);
  document.root().read_map([&](ConfigMap& map) {
    for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
      if (map.at(key).read_path(out)) paths.push_back(out.string());
    }
  });
  EXPECT_THAT(paths,
              testing::ElementsAre("some/where/b.txt", "/c", "/home/me/d", "some/where/~else/f"));
  EXPECT_EQ(joined(problems),
            "some/where/f.yaml:4:1: d: must be a path, is the text ''\n"
            "some/where/f.yaml:6:1: f: must be a path, is the text 'x\\x00y'");
}

TEST(Reader, PlacesAreLinesAndCharacters) {
  Problems problems;
  const ConfigDocument document(
      "f.yaml", "\xef\xbb\xbf# first\r\ng\xc3\xbc: {\xe2\x82\xac: 1, b: x}\r\n", {}, problems);
  document.root().read_map([](ConfigMap& map) {
    map.at("g\xc3\xbc").read_map([](ConfigMap& inner) {
      bool ignored = false;
      inner.at("\xe2\x82\xac").read(ignored);
      inner.at("b").read(ignored);
    });
  });
  EXPECT_EQ(joined(problems),
            "f.yaml:2:6: g\xc3\xbc.\xe2\x82\xac: must be true or false, is 1\n"
            "f.yaml:2:12: g\xc3\xbc.b: must be true or false, is the text 'x'");
}

TEST(Reader, ListsNumberTheirItems) {
  Problems problems;
  const ConfigDocument document("f.yaml", "v:\n  - a\n  - [1]\n  - b\nw: 3\n", {}, problems);
  std::string text;
  document.root().read_map([&](ConfigMap& map) {
    for (const ConfigNode& item : map.at("v").read_list()) item.read(text);
    EXPECT_TRUE(map.at("w").read_list().empty());
  });
  EXPECT_EQ(joined(problems),
            "f.yaml:3:5: v.1: must be a text, is a list of 1\nf.yaml:5:1: w: must be a list, is 3");
}

TEST(Reader, MissingUnknownAndWrongKindOfMap) {
  Problems problems;
  const ConfigDocument document("f.yaml", "a:\n  colr: red\n  x: 1\nb: 3\nc:\n", {}, problems);
  Colour colour = Colour::kRed;
  document.root().read_map([&](ConfigMap& map) {
    map.at("a").read_map([&](ConfigMap& a) {
      a.at("color").read(colour, kColours);
      a.need("size");
    });
    map.at("b").read_map([](ConfigMap&) { FAIL() << "not a map"; });
    EXPECT_TRUE(map.at("c").read_map([](ConfigMap&) {})) << "an empty map";
    EXPECT_FALSE(map.at("d").read_map([](ConfigMap&) { FAIL() << "absent"; }));
  });
  EXPECT_EQ(joined(problems),
            "f.yaml:1:1: a.size: is required\n"
            "f.yaml:2:3: a: unknown key 'colr'; did you mean 'color'?; known: color, size\n"
            "f.yaml:3:3: a: unknown key 'x'; known: color, size\n"
            "f.yaml:4:1: b: must be a map (key: value), is 3");
}

TEST(Reader, DuplicateKeys) {
  Problems problems;
  const ConfigDocument document("f.yaml", "a: 1\nb: {c: 1, c: 2}\na: 3\n", {}, problems);
  EXPECT_EQ(joined(problems),
            "f.yaml:2:11: the key 'c' is given twice; first in line 2\n"
            "f.yaml:3:1: the key 'a' is given twice; first in line 1");
}

TEST(Reader, MissingFileIsOneProblem) {
  Problems problems;
  const ConfigDocument document("/nowhere/f.yaml", {}, problems);
  document.root().read_map([](ConfigMap& map) { map.need("a"); });
  EXPECT_EQ(joined(problems), "/nowhere/f.yaml: no such file");
}

TEST(Reader, FolderIsNotAFile) {
  Problems problems;
  const TemporaryFolder folder;
  const ConfigDocument document(folder.path(), {}, problems);
  EXPECT_EQ(joined(problems), folder.path().string() + ": is a folder, not a file");
}

}  // namespace
}  // namespace varve
