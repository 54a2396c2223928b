#include "coordinator/bench/text_table.h"

#include <gtest/gtest.h>

#include "tests/coordinator/bench/message.h"

namespace varve {
namespace {

TEST(MarkdownTable, NumbersAreFlushRight) {
  EXPECT_EQ(markdown_table({"test", "t/s"}, {{"pp512", "7.5 ± 0.1"}, {"tg|1", "123.5 ± 0.1"}}),
            "| test  |         t/s |\n"
            "| ----- | ----------: |\n"
            "| pp512 |   7.5 ± 0.1 |\n"
            "| tg\\|1 | 123.5 ± 0.1 |\n");
}

TEST(MarkdownTable, WithoutRows) {
  EXPECT_EQ(markdown_table({"a", "test"}, {}), "| a   | test |\n| --- | ---- |\n");
}

TEST(CsvTable, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_table({"a", "b"}, {{"", "1"}, {"x,y", "say \"z\""}, {"two\nlines", ""}}),
            "a,b\n,1\n\"x,y\",\"say \"\"z\"\"\"\n\"two\nlines\",\n");
}

TEST(ParseFormat, KnowsThree) {
  EXPECT_EQ(parse_format("md"), TableFormat::kMarkdown);
  EXPECT_EQ(parse_format("csv"), TableFormat::kCsv);
  EXPECT_EQ(parse_format("json"), TableFormat::kJson);
  EXPECT_EQ(test::message_of([] { parse_format("xml"); }),
            "-o 'xml': unknown format; known: md, csv, json");
}

}  // namespace
}  // namespace varve
