// What an evaluation has found, cell by cell, and how it is shown.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/plan/report.h"
#include "coordinator/eval/matrix.h"
#include "coordinator/eval/sample_log.h"
#include "coordinator/eval/statistics.h"

namespace varve {

struct CellReport {
  std::string task;
  std::uint32_t length = 0;
  std::string policy;
  std::string budget;  // empty where the policy takes none
  Measure measure = Measure::kExactMatch;
  std::size_t samples = 0;
  std::size_t questions = 0;
  /// Share of answers that are right (Wilson's interval, share_right); or nats per token of the
  /// expected text, of which less is better (Student's t over the samples' means).
  Estimate quality;
  double kept_rows = 0;           // of the document, per key head and layer; mean of the samples
  std::uint64_t peak_bytes = 0;   // held at any time, by the planner's functions; most of them
  std::uint64_t after_bytes = 0;  // of the document, once compacted; most of them
  double rows_per_second = 0;     // of questions and answers
  double read_rows_per_second = 0;
};

/// Of the samples of one cell, at least one.
CellReport cell_report(std::span<const SampleResult> samples, Measure measure);

struct RankMemory {
  std::uint32_t rank = 0;
  std::uint64_t kv_planned_bytes = 0;  // EvalMemory's
  std::uint64_t kv_peak_bytes = 0;     // as allocated, all open branches together
};

struct EvalReport {
  std::string name;
  std::string version;  // of the program
  std::string started;  // UTC, ISO 8601
  std::string model;
  std::string backend;
  std::string config_json;    // the configuration with its defaults
  std::uint64_t samples = 0;  // that each cell is to have
  std::vector<RankMemory> measured;
  std::vector<LayerReceipt> receipts;  // of all samples of this run together
  std::vector<CellReport> cells;       // those that have any
};

/// By cells_of, without the cells that have no sample yet.
std::vector<CellReport> cell_reports(const EvalMatrix& matrix, const EvalBasis& basis,
                                     const SampleLog& log);

/// For people: Markdown, a line about how to read it below.
std::string report_table(const EvalReport& report);
/// A row per cell; numbers alone, in bytes, shares and nats.
std::string report_csv(const EvalReport& report);
/// An object with `run`, `config` and `cells`.
std::string report_json(const EvalReport& report);

}  // namespace varve
