#include "coordinator/bench/bench_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/units.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

double mean_seconds(const BenchResult& result) {
  return spread_of(result.seconds).mean;
}

std::string short_count(std::uint64_t n) {
  const auto count = static_cast<double>(n);
  if (n >= 1'000'000'000) return fmt::format("{:.2f} B", count / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.2f} M", count / 1e6);
  return fmt::format("{}", n);
}

std::string shown_share(const BenchReport& report, const BenchResult& result) {
  const std::optional<double> read = read_share(report, result);
  return read ? percent(*read) + " read" : percent(fma_share(report, result)) + " FMA";
}

std::string peaks_line(const BenchReport& r) {
  return fmt::format(
      "peak of {} {} here, measured: {:.1f} GFLOP/s float32 FMA, {:.1f} GB/s memory read\n\n",
      r.ranks * r.threads, r.ranks * r.threads == 1 ? "thread" : "threads",
      r.peak_flops_per_second / 1e9, r.peak_bytes_per_second / 1e9);
}

std::string markdown(const BenchReport& report) {
  const TableRow header{"model", "size", "params", "backend", "threads",
                        "ranks", "test", "t/s",    "of peak"};
  std::vector<TableRow> rows;
  for (const BenchResult& result : report.results) {
    const Spread rate = spread_of(token_rates(result));
    rows.push_back({report.model, to_string(Bytes{report.model_bytes}),
                    short_count(report.parameters), report.backend,
                    fmt::format("{}", report.threads), fmt::format("{}", report.ranks),
                    name_of(result.what), fmt::format("{:.2f} ± {:.2f}", rate.mean, rate.deviation),
                    shown_share(report, result)});
  }
  return peaks_line(report) + markdown_table(header, rows);
}

std::string csv(const BenchReport& report) {
  const TableRow header{"model",  "model_size", "model_n_params", "backend",   "n_threads",
                        "ranks",  "test",       "n_prompt",       "n_gen",     "n_depth",
                        "n_seqs", "avg_ts",     "stddev_ts",      "fma_share", "read_share"};
  std::vector<TableRow> rows;
  for (const BenchResult& result : report.results) {
    const BenchCase& c = result.what;
    const bool prompt = c.kind == BenchCase::Kind::kPrompt;
    const Spread rate = spread_of(token_rates(result));
    const std::optional<double> read = read_share(report, result);
    rows.push_back(
        {report.model, fmt::format("{}", report.model_bytes), fmt::format("{}", report.parameters),
         report.backend, fmt::format("{}", report.threads), fmt::format("{}", report.ranks),
         name_of(c), fmt::format("{}", prompt ? c.tokens : 0),
         fmt::format("{}", prompt ? 0 : c.tokens), fmt::format("{}", c.depth),
         fmt::format("{}", c.sequences), fmt::format("{:.6f}", rate.mean),
         fmt::format("{:.6f}", rate.deviation), fmt::format("{:.6f}", fma_share(report, result)),
         read ? fmt::format("{:.6f}", *read) : ""});
  }
  return csv_table(header, rows);
}

Json test_json(const BenchReport& report, const BenchResult& result) {
  const BenchCase& c = result.what;
  const bool prompt = c.kind == BenchCase::Kind::kPrompt;
  const std::vector<double> rates = token_rates(result);
  const Spread seconds = spread_of(result.seconds);
  const Spread rate = spread_of(rates);
  const std::optional<double> read = read_share(report, result);
  std::vector<double> samples_ns;
  for (const double s : result.seconds) samples_ns.push_back(1e9 * s);
  return {{"test", name_of(c)},
          {"backend", report.backend},
          {"n_prompt", prompt ? c.tokens : 0},
          {"n_gen", prompt ? 0 : c.tokens},
          {"n_depth", c.depth},
          {"n_seqs", c.sequences},
          {"avg_ns", 1e9 * seconds.mean},
          {"stddev_ns", 1e9 * seconds.deviation},
          {"avg_ts", rate.mean},
          {"stddev_ts", rate.deviation},
          {"samples_ns", samples_ns},
          {"samples_ts", rates},
          {"flops", result.work.flops},
          {"read_bytes", prompt ? Json(nullptr) : Json(result.work.read_bytes)},
          {"fma_share", fma_share(report, result)},
          {"read_share", read ? Json(*read) : Json(nullptr)}};
}

std::string json(const BenchReport& r) {
  Json tests = Json::array();
  for (const BenchResult& result : r.results) tests.push_back(test_json(r, result));
  const Json run{{"version", r.version},
                 {"test_time", r.started},
                 {"model_filename", r.model_file},
                 {"model_type", r.model},
                 {"model_size", r.model_bytes},
                 {"model_n_params", r.parameters},
                 {"backend", r.backend},
                 {"n_threads", r.threads},
                 {"ranks", r.ranks},
                 {"chunk", r.chunk},
                 {"in_flight", r.in_flight},
                 {"kv_dtype", r.kv_dtype},
                 {"peak_flops_per_second", r.peak_flops_per_second},
                 {"peak_bytes_per_second", r.peak_bytes_per_second},
                 {"bubble_share", r.bubble_share ? Json(*r.bubble_share) : Json(nullptr)},
                 {"bytes_per_token", r.bytes_per_token}};
  const Json all{{"run", run}, {"tests", tests}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<double> token_rates(const BenchResult& result) {
  const double tokens = static_cast<double>(result.what.tokens) * result.what.sequences;
  std::vector<double> rates;
  for (const double seconds : result.seconds) rates.push_back(tokens / seconds);
  return rates;
}

double fma_share(const BenchReport& report, const BenchResult& result) {
  return result.work.flops / mean_seconds(result) / report.peak_flops_per_second;
}

std::optional<double> read_share(const BenchReport& report, const BenchResult& result) {
  if (result.what.kind == BenchCase::Kind::kPrompt) return std::nullopt;
  return result.work.read_bytes / mean_seconds(result) / report.peak_bytes_per_second;
}

std::string bench_table(const BenchReport& report, TableFormat format) {
  switch (format) {
    case TableFormat::kMarkdown:
      return markdown(report);
    case TableFormat::kCsv:
      return csv(report);
    case TableFormat::kJson:
      break;
  }
  return json(report);
}

}  // namespace varve
