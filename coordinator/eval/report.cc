#include "coordinator/eval/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/units.h"
#include "coordinator/bench/text_table.h"
#include "coordinator/jobs/receipts.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

double ratio(double value, double by) {
  return by > 0 ? value / by : 0;
}

Estimate quality_of(std::span<const SampleResult> samples, Measure measure) {
  if (measure == Measure::kExactMatch) {
    std::vector<Trials> trials;
    for (const SampleResult& s : samples) {
      Trials& t = trials.emplace_back();
      t.asked = s.questions.size();
      for (const QuestionScore& q : s.questions) t.right += q.right ? 1 : 0;
    }
    return share_right(trials);
  }
  std::vector<double> nats;
  for (const SampleResult& s : samples) {
    double logprob = 0;
    double tokens = 0;
    for (const QuestionScore& q : s.questions) {
      logprob += q.logprob;
      tokens += static_cast<double>(q.tokens);
    }
    nats.push_back(-ratio(logprob, tokens));
  }
  return mean_of(nats);
}

bool is_match(const CellReport& c) {
  return c.measure == Measure::kExactMatch;
}

std::string value_text(const CellReport& c, double value) {
  if (!std::isfinite(value)) return value < 0 ? "-inf" : "inf";
  return is_match(c) ? fmt::format("{:.1f}", 100 * value) : fmt::format("{:.3f}", value);
}

std::string interval_text(const CellReport& c) {
  return fmt::format("{} to {}", value_text(c, c.quality.low), value_text(c, c.quality.high));
}

std::string speed_text(double rows_per_second) {
  return rows_per_second > 0 ? fmt::format("{:.1f}", rows_per_second) : "-";
}

TableRow text_row(const CellReport& c) {
  const std::string value = value_text(c, c.quality.value);
  return {c.task,
          fmt::format("{}", c.length),
          c.policy,
          c.budget.empty() ? "-" : c.budget,
          fmt::format("{:.0f}", c.kept_rows),
          fmt::format("{}", c.samples),
          is_match(c) ? value : "-",
          is_match(c) ? "-" : value,
          interval_text(c),
          to_string(Bytes{c.peak_bytes}),
          to_string(Bytes{c.after_bytes}),
          speed_text(c.read_rows_per_second),
          speed_text(c.rows_per_second)};
}

std::string_view measure_name(const CellReport& c) {
  return is_match(c) ? "exact_match" : "nats_per_token";
}

TableRow csv_row(const CellReport& c) {
  return {c.task,
          fmt::format("{}", c.length),
          c.policy,
          c.budget,
          fmt::format("{}", c.kept_rows),
          fmt::format("{}", c.samples),
          fmt::format("{}", c.questions),
          std::string(measure_name(c)),
          fmt::format("{}", c.quality.value),
          fmt::format("{}", c.quality.low),
          fmt::format("{}", c.quality.high),
          fmt::format("{}", c.peak_bytes),
          fmt::format("{}", c.after_bytes),
          fmt::format("{}", c.rows_per_second),
          fmt::format("{}", c.read_rows_per_second)};
}

// JSON has no infinity.
Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json cell_json(const CellReport& c) {
  return {{"task", c.task},
          {"length", c.length},
          {"policy", c.policy},
          {"budget", c.budget.empty() ? Json(nullptr) : Json(c.budget)},
          {"kept_rows", c.kept_rows},
          {"samples", c.samples},
          {"questions", c.questions},
          {"measure", measure_name(c)},
          {"value", finite(c.quality.value)},
          {"low", finite(c.quality.low)},
          {"high", finite(c.quality.high)},
          {"kv_peak_bytes", c.peak_bytes},
          {"kv_after_bytes", c.after_bytes},
          {"tokens_per_second", c.rows_per_second},
          {"read_tokens_per_second", c.read_rows_per_second}};
}

constexpr const char* kNotes =
    "rows: of the document that are kept, per key head and layer, on average.\n"
    "exact %: answers that name what was hidden. NLL: nats per token of the text that should come "
    "next; less is better.\n"
    "95 %: of exact % Wilson's interval, for as many trials as the questions of one document are "
    "worth; of NLL Student's t over documents.\n"
    "KV peak, KV after: what a job of such a document under this policy holds, at most and once "
    "the document is read, by the planner's functions.\n"
    "read tok/s: of the document, alone or with others that share it. tok/s: of questions and "
    "answers, in the time that their steps took.\n";

}  // namespace

CellReport cell_report(std::span<const SampleResult> samples, Measure measure) {
  VARVE_CHECK(!samples.empty(), "a cell of {} samples", samples.size());
  const SampleResult& first = samples.front();
  CellReport cell;
  cell.task = first.task;
  cell.length = first.length;
  cell.policy = first.policy;
  cell.budget = first.budget == "all" ? "" : first.budget;
  cell.measure = measure;
  cell.samples = samples.size();
  cell.quality = quality_of(samples, measure);
  double rows = 0, seconds = 0, read = 0, read_seconds = 0;
  for (const SampleResult& s : samples) {
    cell.questions += s.questions.size();
    cell.kept_rows += static_cast<double>(s.kept_rows) / static_cast<double>(samples.size());
    cell.peak_bytes = std::max(cell.peak_bytes, s.peak_bytes);
    cell.after_bytes = std::max(cell.after_bytes, s.after_bytes);
    rows += static_cast<double>(s.rows);
    seconds += s.seconds;
    read += static_cast<double>(s.document_tokens);
    read_seconds += s.read_seconds;
  }
  cell.rows_per_second = ratio(rows, seconds);
  cell.read_rows_per_second = ratio(read, read_seconds);
  return cell;
}

std::vector<CellReport> cell_reports(const EvalMatrix& matrix, const EvalBasis& basis,
                                     const SampleLog& log) {
  std::vector<CellReport> reports;
  for (const Cell& cell : cells_of(matrix)) {
    const std::vector<SampleResult> samples =
        log.results(cell_key(basis, matrix, cell), matrix.samples);
    if (samples.empty()) continue;
    reports.push_back(cell_report(samples, find_eval_task(matrix.tasks[cell.task].name).measure));
    // Another version may have written the samples, and called the policy something else.
    reports.back().policy = policy_label(matrix.policies[cell.policy]);
  }
  return reports;
}

std::string report_table(const EvalReport& report) {
  const TableRow header = {"task", "length", "policy",  "budget",   "rows",       "n",    "exact %",
                           "NLL",  "95 %",   "KV peak", "KV after", "read tok/s", "tok/s"};
  std::vector<TableRow> rows;
  for (const CellReport& c : report.cells) rows.push_back(text_row(c));
  return fmt::format("{}, {}, {}\n\n{}\n{}", report.name, report.model, report.backend,
                     markdown_table(header, rows), kNotes);
}

std::string report_csv(const EvalReport& report) {
  const TableRow header = {"task",
                           "length",
                           "policy",
                           "budget",
                           "kept_rows",
                           "samples",
                           "questions",
                           "measure",
                           "value",
                           "low",
                           "high",
                           "kv_peak_bytes",
                           "kv_after_bytes",
                           "tokens_per_second",
                           "read_tokens_per_second"};
  std::vector<TableRow> rows;
  for (const CellReport& c : report.cells) rows.push_back(csv_row(c));
  return csv_table(header, rows);
}

std::string report_json(const EvalReport& report) {
  Json measured = Json::array();
  for (const RankMemory& m : report.measured) {
    measured.push_back({{"rank", m.rank},
                        {"kv_planned_bytes", m.kv_planned_bytes},
                        {"kv_peak_bytes", m.kv_peak_bytes}});
  }
  Json cells = Json::array();
  for (const CellReport& c : report.cells) cells.push_back(cell_json(c));
  Json config = Json::parse(report.config_json, nullptr, false);
  if (config.is_discarded()) config = report.config_json;
  const Json json = {{"run",
                      {{"name", report.name},
                       {"version", report.version},
                       {"started", report.started},
                       {"model", report.model},
                       {"backend", report.backend},
                       {"samples", report.samples},
                       {"measured", measured},
                       {"receipts", receipts_json(report.receipts)}}},
                     {"config", config},
                     {"cells", cells}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace varve
