// What a hostile or broken YAML file gets: a message, in bounded time and memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/config/support.h"

namespace varve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string repeated(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(YamlLimits, BillionLaughs) {
  std::string text = "a: &a [lol, lol]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    const char before = static_cast<char>(c - 1);
    text += fmt::format("{0}: &{0} [*{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}, *{1}]\n", c,
                        before);
  }
  EXPECT_EQ(job_problems(text),
            "job.yaml:1:4: anchors (&name) are not supported; write the value out");
}

TEST(YamlLimits, AliasesAndMergeKeys) {
  EXPECT_THAT(job_problems("a: *x\n"), HasSubstr("the referenced anchor is not defined"));
  EXPECT_THAT(job_problems("a: &x 1\nb: *x\n"), StartsWith("job.yaml:1:4: anchors (&name)"));
}

TEST(YamlLimits, DeepNestingInFlowStyle) {
  for (const std::string_view open : {"[", "{a: ", "[[", "{? ", "- [", "[a: "}) {
    for (const std::size_t count : {std::size_t{40}, std::size_t{100'000}}) {
      const std::string problems = job_problems("x: " + repeated(open, count));
      EXPECT_THAT(problems, StartsWith("job.yaml:1:")) << open << count;
    }
  }
  EXPECT_THAT(job_problems("x: " + repeated("[", 100'000) + repeated("]", 100'000)),
              HasSubstr("lists and maps are nested more than 32 deep"));
  EXPECT_THAT(job_problems("x: " + repeated("{a: ", 100'000) + "1" + repeated("}", 100'000)),
              HasSubstr("lists and maps are nested more than 32 deep"));
}

TEST(YamlLimits, DeepNestingInBlockStyle) {
  EXPECT_THAT(job_problems(repeated("- ", 100'000) + "a"), HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(job_problems(repeated("? ", 100'000) + "a"), StartsWith("job.yaml:1:"));
  std::string lines;
  for (std::size_t depth = 0; depth < 1000; ++depth) lines += std::string(depth, ' ') + "a:\n";
  EXPECT_EQ(job_problems(lines), "job.yaml:33:33: lists and maps are nested more than 32 deep");
}

TEST(YamlLimits, NestingUpToTheLimitIsRead) {
  EXPECT_THAT(job_problems("x: " + repeated("[", 31) + repeated("]", 31)),
              HasSubstr("unknown key 'x'"));
  EXPECT_THAT(job_problems("x: " + repeated("[", 32) + repeated("]", 32)),
              HasSubstr("nested more than 32 deep"));
}

TEST(YamlLimits, HugeFile) {
  const std::string text = minimal_job(repeated("# comment\n", 120'000));
  EXPECT_THAT(job_problems(text), HasSubstr("bytes; the limit is 1048576"));
  const TemporaryFolder folder;
  Problems problems;
  read_job(folder.write("big.yaml", text), {}, problems);
  EXPECT_THAT(joined(problems), HasSubstr("the limit is 1048576"));
  Problems more;
  const auto huge = folder.write("huge.yaml", repeated("0123456789abcdef", 600'000));
  read_job(huge, {}, more);
  EXPECT_EQ(joined(more), huge.string() + ": is larger than 8 MiB");
}

TEST(YamlLimits, ManyValues) {
  EXPECT_THAT(job_problems("x: [" + repeated("1,", 400'000) + "]"),
              HasSubstr("holds more than 100000 values"));
}

TEST(YamlLimits, ManyProblems) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += fmt::format("k{}: 1\n", i);
  EXPECT_THAT(job_problems(text), HasSubstr("more problems"));
  EXPECT_THAT(job_problems(repeated("k: 1\n", 40'000)), HasSubstr("more problems"));
}

TEST(YamlLimits, OneLineOfAMegabyte) {
  for (const std::string_view part :
       {"[", "{", "a: ", "- ", "\"a\" ", "a,", "'", "!", "? ", ": ", "#"}) {
    const std::string text = repeated(part, 1'000'000 / part.size());
    EXPECT_NE(job_problems(text), "") << part;
    EXPECT_NE(job_problems("[" + text), "") << part;
  }
}

TEST(YamlLimits, NotText) {
  using std::string_literals::operator""s;
  EXPECT_EQ(job_problems("name: a\0b\n"s), "job.yaml:1:8: control character U+0000; is this text?");
  EXPECT_EQ(job_problems("name: a\n\x04model: b\n"),
            "job.yaml:2:1: control character U+0004; is this text?");
  EXPECT_EQ(job_problems("name: \xff\n"), "job.yaml:1:7: is not UTF-8 text");
  EXPECT_EQ(job_problems("\xff\xfen\0a\0"s), "job.yaml:1:1: is not UTF-8 text");
  EXPECT_EQ(job_problems("n\0a\0m\0"s), "job.yaml:1:2: control character U+0000; is this text?");
  EXPECT_EQ(job_problems("name: \xed\xa0\x80\n"), "job.yaml:1:7: is not UTF-8 text");
  EXPECT_EQ(job_problems("name: \xc0\xaf\n"), "job.yaml:1:7: is not UTF-8 text");
  EXPECT_EQ(job_problems("name: \xe2\x82"), "job.yaml:1:7: is not UTF-8 text");
  EXPECT_EQ(job_problems("a: b\rc: d\n"), "job.yaml:1:5: control character U+000D; is this text?");
  EXPECT_EQ(job_problems("GGUF\x03\0\0\0\x10\x01"s),
            "job.yaml:1:5: control character U+0003; is this text?");
}

TEST(YamlLimits, RandomBytesNeverPass) {
  std::uint64_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 64; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      text += static_cast<char>(state >> 56);
    }
    EXPECT_NE(job_problems(text), "");
  }
}

TEST(YamlLimits, DocumentsTagsAndKeys) {
  EXPECT_EQ(job_problems(minimal_job("---\nname: b\n")),
            "job.yaml:4:1: a second document starts here; one file holds one");
  EXPECT_EQ(job_problems("--- \n" + minimal_job("...\n")), "");
  EXPECT_EQ(job_problems("name: !!binary aGk=\n"),
            "job.yaml:1:7: tags such as 'tag:yaml.org,2002:binary' are not supported");
  EXPECT_EQ(job_problems("? [a]\n: b\n"), "job.yaml:1:3: a list or a map cannot be a key");
  EXPECT_EQ(job_problems(": b\n"), "job.yaml:1:1: a key is missing before ':'");
  EXPECT_EQ(job_problems("~: b\n"), "job.yaml:1:1: a key is missing before ':'");
  EXPECT_EQ(job_problems("%YAML 3.1\n---\na: 1\n"),
            "job.yaml:1:1: not valid YAML: YAML major version too large");
}

TEST(YamlLimits, Empty) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n", "~\n", "\xef\xbb\xbf"}) {
    EXPECT_EQ(job_problems(text), "job.yaml: is empty") << text;
  }
  EXPECT_THAT(job_problems("just a text"),
              HasSubstr("must be a map (key: value), is the text 'just a text'"));
  EXPECT_THAT(job_problems("- a\n- b\n"), HasSubstr("must be a map (key: value), is a list of 2"));
}

TEST(YamlLimits, SyntaxErrorsHaveAPlace) {
  EXPECT_EQ(job_problems("a: b: c\n"), "job.yaml:1:5: not valid YAML: illegal map value");
  EXPECT_EQ(job_problems("a: [1, 2\n"),
            "job.yaml:2:1: not valid YAML: end of sequence flow not found");
  EXPECT_EQ(job_problems("a: 1\nb: \"it's \\\"c\nd: 1\n"),
            "job.yaml:2:4: the quote that begins here does not end");
  EXPECT_EQ(job_problems("b: 'it''s \"c\n"),
            "job.yaml:1:4: the quote that begins here does not end");
  EXPECT_THAT(job_problems("a: \"b"), HasSubstr("not valid YAML: illegal EOF in scalar"));
  EXPECT_THAT(job_problems("a: \"\\q\"\n"), HasSubstr("not valid YAML: unknown escape character"));
}

TEST(YamlLimits, QuestionMarksInFlowStyle) {
  constexpr const char* kHint = "(inside [] and {} a text with a '?' needs quotes)";
  EXPECT_THAT(job_problems("questions: [Who?]\n"), HasSubstr(kHint));
  EXPECT_THAT(job_problems("questions:\n  - {text: Who? Me}\n"), HasSubstr(kHint));
  EXPECT_THAT(job_problems("questions:\n  - [Who? Me, b]\n"), HasSubstr(kHint));
  EXPECT_EQ(job_problems("model: m\ndocument: d\nquestions:\n  - Who? Me?\n  - {text: 'Who?'}\n"),
            "");
}

TEST(YamlLimits, TabsAreNamed) {
  const std::string problems = job_problems("sampling:\n\tseed: 1\n");
  EXPECT_THAT(problems, StartsWith("job.yaml:2:"));
  EXPECT_THAT(problems, HasSubstr("(line 2 is indented with a tab; YAML wants spaces)"));
}

}  // namespace
}  // namespace varve
