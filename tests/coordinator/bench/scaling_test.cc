#include "coordinator/bench/scaling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/bench/bench_report.h"
#include "tests/coordinator/bench/message.h"

namespace varve {
namespace {

using testing::HasSubstr;

std::string shown(const std::vector<ScalingRun>& runs) {
  std::string text;
  for (const ScalingRun& r : runs) {
    text += fmt::format("{}{}:{} ", r.weak ? "weak " : "", r.ranks, r.tokens);
  }
  return text;
}

TEST(ScalingRuns, WeakDocumentsEndAtTheStrongOne) {
  EXPECT_EQ(shown(scaling_runs({1, 2, 4}, 4096)),
            "1:4096 2:4096 4:4096 weak 1:1024 weak 2:2048 weak 4:4096 ");
  EXPECT_EQ(shown(scaling_runs({3, 2, 3}, 100)), "2:100 3:100 weak 2:66 weak 3:100 ");
  EXPECT_EQ(shown(scaling_runs({1}, 9)), "1:9 weak 1:9 ");
}

TEST(ScalingRuns, ATokenForEachRankAtLeast) {
  EXPECT_EQ(test::message_of([] { scaling_runs({8}, 7); }),
            "--scaling-tokens 7: 8 ranks need a document of at least as many tokens");
}

ScalingPoint point(std::uint64_t ranks, double flops_per_second) {
  ScalingPoint p;
  p.ranks = ranks;
  p.threads = 1;
  p.backend = "cpu (avx2)";
  p.tokens = 100;
  p.rate = {50, 2};
  p.flops_per_second = flops_per_second;
  p.bubble_share = 0.0421;
  p.bytes_per_token = 2304;
  return p;
}

std::vector<ScalingRow> rows() {
  const std::vector<ScalingRun> runs = scaling_runs({2, 4}, 100);
  const std::vector<ScalingPoint> points{point(2, 10), point(4, 15), point(2, 8), point(4, 16)};
  return scaling_rows(runs, points);
}

TEST(ScalingRows, AreRelativeToTheFewestRanksOfTheirKind) {
  EXPECT_DOUBLE_EQ(rows()[0].speed_up, 1);
  EXPECT_DOUBLE_EQ(rows()[0].efficiency, 1);
  EXPECT_DOUBLE_EQ(rows()[1].speed_up, 1.5);
  EXPECT_DOUBLE_EQ(rows()[1].efficiency, 0.75);
  EXPECT_DOUBLE_EQ(rows()[2].speed_up, 1);
  EXPECT_DOUBLE_EQ(rows()[3].efficiency, 1);
}

TEST(ScalingTable, EveryFormatNamesTheBackendInEveryRow) {
  EXPECT_THAT(scaling_table("m", rows(), TableFormat::kMarkdown),
              HasSubstr("| strong  |     4 |       1 | cpu (avx2) |    100 | 50.00 ± 2.00 |     "
                        "1.50 |     75.0 % |  4.2 % |        2304 |\n"));
  EXPECT_THAT(scaling_table("m", rows(), TableFormat::kCsv),
              HasSubstr("m,strong,4,1,cpu (avx2),100,50.000000,2.000000,1.500000,0.750000,0.042100,"
                        "2304.000\n"));
  EXPECT_THAT(scaling_table("m", rows(), TableFormat::kJson), HasSubstr("\"efficiency\": 0.75"));
}

TEST(ReadPoint, ReadsWhatABenchPrints) {
  BenchReport report;
  report.backend = "cpu (avx2)";
  report.ranks = 2;
  report.threads = 3;
  report.peak_flops_per_second = 1;
  report.bubble_share = 0.25;
  report.bytes_per_token = 12;
  report.results = {{{BenchCase::Kind::kPrompt, 100, 0, 1}, {5e9, 0}, {2, 2}}};
  const ScalingPoint p = read_point(bench_table(report, TableFormat::kJson));
  EXPECT_EQ(p.backend, "cpu (avx2)");
  EXPECT_EQ(p.ranks, 2U);
  EXPECT_EQ(p.threads, 3U);
  EXPECT_EQ(p.tokens, 100U);
  EXPECT_DOUBLE_EQ(p.rate.mean, 50);
  EXPECT_DOUBLE_EQ(p.flops_per_second, 2.5e9);
  EXPECT_DOUBLE_EQ(p.bubble_share, 0.25);
  EXPECT_DOUBLE_EQ(p.bytes_per_token, 12);
}

TEST(ReadPoint, SomethingElse) {
  for (const char* text : {"", "hello", "{}", "{\"run\": {}, \"tests\": []}"}) {
    EXPECT_THROW(read_point(text), Error) << text;
  }
}

}  // namespace
}  // namespace varve
