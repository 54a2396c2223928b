#include "coordinator/bench/scaling.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/error.h"

namespace varve {
namespace {

using Json = nlohmann::ordered_json;

std::string kind_of(const ScalingRow& row) {
  return row.weak ? "weak" : "strong";
}

std::string markdown(std::string_view model, std::span<const ScalingRow> rows) {
  const TableRow header{"scaling", "ranks",    "threads",    "backend", "tokens",
                        "t/s",     "speed-up", "efficiency", "bubble",  "bytes/token"};
  std::vector<TableRow> cells;
  for (const ScalingRow& row : rows) {
    const ScalingPoint& p = row.point;
    cells.push_back(
        {kind_of(row), fmt::format("{}", p.ranks), fmt::format("{}", p.threads), p.backend,
         fmt::format("{}", p.tokens), fmt::format("{:.2f} ± {:.2f}", p.rate.mean, p.rate.deviation),
         fmt::format("{:.2f}", row.speed_up), fmt::format("{:.1f} %", 100 * row.efficiency),
         fmt::format("{:.1f} %", 100 * p.bubble_share), fmt::format("{:.0f}", p.bytes_per_token)});
  }
  return fmt::format(
      "{}: reading a document; speed-up in arithmetic per second, weak documents grow with the "
      "ranks\n\n{}",
      model, markdown_table(header, cells));
}

std::string csv(std::string_view model, std::span<const ScalingRow> rows) {
  const TableRow header{"model",    "scaling",    "ranks",        "n_threads",
                        "backend",  "n_prompt",   "avg_ts",       "stddev_ts",
                        "speed_up", "efficiency", "bubble_share", "bytes_per_token"};
  std::vector<TableRow> cells;
  for (const ScalingRow& row : rows) {
    const ScalingPoint& p = row.point;
    cells.push_back({std::string(model), kind_of(row), fmt::format("{}", p.ranks),
                     fmt::format("{}", p.threads), p.backend, fmt::format("{}", p.tokens),
                     fmt::format("{:.6f}", p.rate.mean), fmt::format("{:.6f}", p.rate.deviation),
                     fmt::format("{:.6f}", row.speed_up), fmt::format("{:.6f}", row.efficiency),
                     fmt::format("{:.6f}", p.bubble_share),
                     fmt::format("{:.3f}", p.bytes_per_token)});
  }
  return csv_table(header, cells);
}

std::string json(std::string_view model, std::span<const ScalingRow> rows) {
  Json all = Json::array();
  for (const ScalingRow& row : rows) {
    const ScalingPoint& p = row.point;
    all.push_back({{"model_type", model},
                   {"scaling", kind_of(row)},
                   {"ranks", p.ranks},
                   {"n_threads", p.threads},
                   {"backend", p.backend},
                   {"n_prompt", p.tokens},
                   {"avg_ts", p.rate.mean},
                   {"stddev_ts", p.rate.deviation},
                   {"speed_up", row.speed_up},
                   {"efficiency", row.efficiency},
                   {"bubble_share", p.bubble_share},
                   {"bytes_per_token", p.bytes_per_token}});
  }
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::vector<ScalingRun> scaling_runs(std::vector<std::uint32_t> ranks, std::uint32_t tokens) {
  VARVE_CHECK(!ranks.empty(), "scaling over no ranks, {} tokens", tokens);
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  const std::uint32_t most = ranks.back();
  if (tokens < most) {
    throw ConfigError(fmt::format(
        "--scaling-tokens {}: {} ranks need a document of at least as many tokens", tokens, most));
  }
  std::vector<ScalingRun> runs;
  for (const std::uint32_t n : ranks) runs.push_back({false, n, tokens});
  for (const std::uint32_t n : ranks)
    runs.push_back({true, n, n == most ? tokens : tokens / most * n});
  return runs;
}

ScalingPoint read_point(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    const Json& run = json.at("run");
    const Json& test = json.at("tests").at(0);
    ScalingPoint point;
    run.at("ranks").get_to(point.ranks);
    run.at("n_threads").get_to(point.threads);
    run.at("backend").get_to(point.backend);
    test.at("n_prompt").get_to(point.tokens);
    test.at("avg_ts").get_to(point.rate.mean);
    test.at("stddev_ts").get_to(point.rate.deviation);
    run.at("bytes_per_token").get_to(point.bytes_per_token);
    if (!run.at("bubble_share").is_null()) run.at("bubble_share").get_to(point.bubble_share);
    point.flops_per_second =
        test.at("flops").get<double>() / (test.at("avg_ns").get<double>() / 1e9);
    return point;
  } catch (const Json::exception& e) {
    throw Error(ExitCode::kOther,
                fmt::format("a run of the scaling bench printed something else than its results "
                            "({}); does the launcher write to standard output?",
                            e.what()));
  }
}

std::vector<ScalingRow> scaling_rows(std::span<const ScalingRun> runs,
                                     std::span<const ScalingPoint> points) {
  VARVE_CHECK(runs.size() == points.size(), "{} runs, {} points", runs.size(), points.size());
  std::vector<ScalingRow> rows;
  const ScalingPoint* first = nullptr;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i == 0 || runs[i].weak != runs[i - 1].weak) first = &points[i];
    ScalingRow row{.weak = runs[i].weak, .point = points[i]};
    row.speed_up = points[i].flops_per_second / first->flops_per_second;
    row.efficiency =
        row.speed_up * static_cast<double>(first->ranks) / static_cast<double>(points[i].ranks);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string scaling_table(std::string_view model, std::span<const ScalingRow> rows,
                          TableFormat format) {
  switch (format) {
    case TableFormat::kMarkdown:
      return markdown(model, rows);
    case TableFormat::kCsv:
      return csv(model, rows);
    case TableFormat::kJson:
      break;
  }
  return json(model, rows);
}

}  // namespace varve
