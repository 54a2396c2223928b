#include "coordinator/eval/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "common/error.h"
#include "common/io/regular_file.h"
#include "common/policy/presets.h"
#include "coordinator/eval/plot.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr std::size_t kMost = std::size_t{1} << 20U;

SampleResult sample(std::uint64_t number, bool right) {
  return {.key = "k",
          .task = "pass_key",
          .length = 4096,
          .policy = "snapkv",
          .budget = "20%",
          .sample = number,
          .document_tokens = 4000,
          .kept_rows = 800 + number,
          .peak_bytes = 5000 + number,
          .after_bytes = 1000 - number,
          .rows = 30,
          .seconds = 2,
          .read_seconds = 10,
          .questions = {{"12345", right ? " 12345." : " 1.", right, 4, -2.0}}};
}

SampleResult scored(std::uint64_t number, double logprob) {
  SampleResult s = sample(number, false);
  s.questions = {{"words", "", false, 4, logprob}};
  return s;
}

TEST(CellReport, CountsAnswersRowsAndSpeed) {
  const std::vector<SampleResult> samples = {sample(0, true), sample(1, false), sample(2, true),
                                             sample(3, true)};
  const CellReport cell = cell_report(samples, Measure::kExactMatch);
  EXPECT_EQ(cell.samples, 4U);
  EXPECT_EQ(cell.questions, 4U);
  EXPECT_DOUBLE_EQ(cell.quality.value, 0.75);
  EXPECT_DOUBLE_EQ(cell.kept_rows, 801.5);
  EXPECT_EQ(cell.peak_bytes, 5003U);
  EXPECT_EQ(cell.after_bytes, 1000U);
  EXPECT_DOUBLE_EQ(cell.rows_per_second, 15);
  EXPECT_DOUBLE_EQ(cell.read_rows_per_second, 400);
}

TEST(CellReport, NatsArePerToken) {
  const std::vector<SampleResult> samples = {scored(0, -2), scored(1, -4)};
  const CellReport cell = cell_report(samples, Measure::kLikelihood);
  EXPECT_DOUBLE_EQ(cell.quality.value, 0.75);
  EXPECT_LT(cell.quality.low, 0.75);
}

EvalReport report_of(std::vector<CellReport> cells) {
  EvalReport report;
  report.name = "an <eval> & more";
  report.model = "small";
  report.backend = "cpu";
  report.config_json = "{\"name\": \"x\"}";
  report.samples = 4;
  report.measured = {{0, 2000, 1500}};
  report.cells = std::move(cells);
  return report;
}

TEST(Report, OneSampleOfNatsHasNoInterval) {
  const std::vector<SampleResult> one = {scored(0, -2)};
  const EvalReport report = report_of({cell_report(one, Measure::kLikelihood)});
  EXPECT_THAT(report_table(report), HasSubstr("| 0.500 | -inf to inf |"));
  const auto json = nlohmann::json::parse(report_json(report));
  EXPECT_EQ(json["cells"][0]["value"], 0.5);
  EXPECT_TRUE(json["cells"][0]["high"].is_null());
  EXPECT_EQ(json["config"]["name"], "x");
  EXPECT_EQ(json["run"]["measured"][0]["kv_planned_bytes"], 2000);
  EXPECT_EQ(json["run"]["measured"][0]["kv_peak_bytes"], 1500);
}

TEST(Report, BothSpeedsAreShown) {
  const std::vector<SampleResult> one = {sample(0, true)};
  EvalReport report = report_of({cell_report(one, Measure::kExactMatch)});
  EXPECT_THAT(report_table(report), HasSubstr("| read tok/s | tok/s |"));
  EXPECT_THAT(report_table(report), HasSubstr("|      400.0 |  15.0 |"));
  EXPECT_THAT(report_csv(report), HasSubstr("tokens_per_second,read_tokens_per_second\n"));
  EXPECT_THAT(report_csv(report), HasSubstr(",15,400\n"));
  report.cells[0].rows_per_second = 0;
  EXPECT_THAT(report_table(report), HasSubstr("|      400.0 | -     |"));
}

// Samples of earlier versions named policies in another way.
TEST(Report, PoliciesAreNamedAsTheyAreNow) {
  const TempFolder folder;
  PolicyConfig policy = find_preset("snapkv")->policy;
  policy.budget = parse_budget("20%");
  const EvalMatrix matrix{
      .tasks = {{"pass_key", {}}}, .lengths = {4096}, .policies = {policy}, .samples = 2};
  const EvalBasis basis{};
  SampleResult old = sample(0, true);
  old.key = cell_key(basis, matrix, {0, 0, 0});
  old.policy = "snapkv {scorer: window {window=32}}";
  SampleLog log(folder / "samples.jsonl");
  log.add(old);
  const auto cells = cell_reports(matrix, basis, log);
  ASSERT_THAT(cells, SizeIs(1));
  EXPECT_EQ(cells[0].policy, "snapkv");
}

TEST(SampleLog, GoesOnWhereItWasCutOff) {
  const TempFolder folder;
  const auto path = folder / "samples.jsonl";
  {
    SampleLog log(path);
    log.add(sample(0, true));
    log.add(sample(1, false));
  }
  const std::string whole = read_text_file(path, kMost);
  std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() - 1);
  SampleLog log(path);
  EXPECT_TRUE(log.has("k", 0));
  EXPECT_FALSE(log.has("k", 1)) << "its line had no end";
  EXPECT_FALSE(log.has("other", 0));
  log.add(sample(1, false));
  EXPECT_EQ(read_text_file(path, kMost), whole);
  EXPECT_THAT(log.results("k", 1), SizeIs(1));
  EXPECT_THAT(log.results("k", 9), SizeIs(2));
}

TEST(SampleLog, WhatIsNoResultIsNamedByItsLine) {
  const TempFolder folder;
  const auto path = folder / "samples.jsonl";
  std::ofstream(path, std::ios::binary) << to_json_line(sample(0, true)) << "\n{\"key\": 3}\n";
  try {
    const SampleLog log(path);
    FAIL() << "no error";
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), HasSubstr("samples.jsonl:2: is no result of an evaluation ("));
  }
}

CellReport cell(std::string policy, std::string budget, double value, std::uint64_t bytes) {
  CellReport c;
  c.task = "pass_key";
  c.length = 4096;
  c.policy = std::move(policy);
  c.budget = std::move(budget);
  c.samples = 4;
  c.quality = {value, std::max(0.0, value - 0.1), std::min(1.0, value + 0.1)};
  c.after_bytes = bytes;
  return c;
}

std::size_t count_of(const std::string& text, std::string_view what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(Plot, APanelForEachTaskAndLengthAndAPointForEachCell) {
  std::vector<CellReport> cells = {cell("full", "", 1, 4000), cell("snapkv", "50%", 0.8, 2000),
                                   cell("snapkv", "20%", 0.5, 800)};
  for (int i = 0; i < 3; ++i) {
    cells.push_back(cells[static_cast<std::size_t>(i)]);
    cells.back().length = 8192;
  }
  const std::string svg = quality_plot(report_of(cells));
  EXPECT_THAT(svg, AllOf(HasSubstr(">pass_key, 4k tokens<"), HasSubstr(">pass_key, 8k tokens<"),
                         HasSubstr("an &lt;eval&gt; &amp; more"), Not(HasSubstr("nan"))));
  EXPECT_EQ(count_of(svg, "<title>"), 6U);
  EXPECT_EQ(count_of(svg, ">snapkv</text>"), 1U) << "one line of the legend";
  EXPECT_EQ(count_of(svg, ">50%</text>"), 2U);
  EXPECT_EQ(count_of(svg, ">all rows</text>"), 2U);
  EXPECT_THAT(svg, HasSubstr("<title>snapkv 50%: 80.0 % (70.0 to 90.0), 1.95 KiB, n = 4</title>"));
}

TEST(Plot, AnIntervalWithoutEndHasNoWhisker) {
  CellReport c = cell("full", "", 2.5, 4000);
  c.measure = Measure::kLikelihood;
  const std::string whisker("stroke-opacity=\"0.65\"");
  EXPECT_EQ(count_of(quality_plot(report_of({c})), whisker), 1U);
  c.quality.low = -std::numeric_limits<double>::infinity();
  c.quality.high = std::numeric_limits<double>::infinity();
  const std::string svg = quality_plot(report_of({c}));
  EXPECT_EQ(count_of(svg, whisker), 0U);
  EXPECT_THAT(svg, AllOf(HasSubstr("<circle"), Not(HasSubstr("NaN"))));
}

// By colour and mark together.
TEST(Plot, ManyPoliciesLookDifferent) {
  std::vector<CellReport> cells;
  for (int i = 0; i < 24; ++i) cells.push_back(cell(fmt::format("p{}", i), "50%", 0.5, 2000));
  const std::string svg = quality_plot(report_of(cells));
  // In the legend: a mark before each name.
  std::set<std::string> marks;
  for (int i = 0; i < 24; ++i) {
    const auto name = svg.find(fmt::format(">p{}</text>", i));
    ASSERT_NE(name, svg.npos);
    const auto fill = svg.rfind("fill=\"#", svg.rfind("/>", name));
    const auto shape = svg.rfind('<', fill);
    std::string mark = svg.substr(shape, fill + 14 - shape);
    std::erase_if(mark, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
    const std::string color = svg.substr(fill, 14);
    marks.insert(mark + color);
  }
  EXPECT_THAT(marks, SizeIs(24));
}

TEST(Plot, NothingMeasuredIsAPictureToo) {
  EXPECT_THAT(quality_plot(report_of({})), AllOf(HasSubstr("<svg"), HasSubstr("</svg>")));
}

}  // namespace
}  // namespace varve
