// What a bench has measured, and how it is shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/bench/bench_work.h"
#include "coordinator/bench/text_table.h"

namespace varve {

struct BenchResult {
  BenchCase what;
  BenchWork work;
  std::vector<double> seconds;  // by repetition
};

struct BenchReport {
  std::string version;  // of the program
  std::string started;  // UTC, ISO 8601
  std::string model_file;
  std::string model;              // as the file calls itself
  std::uint64_t model_bytes = 0;  // of its tensors
  std::uint64_t parameters = 0;
  std::string backend;        // of every rank, by rank and each named once
  std::uint64_t threads = 0;  // of each rank
  std::uint64_t ranks = 0;
  std::uint64_t chunk = 0;
  std::uint64_t in_flight = 0;
  std::string kv_dtype;
  double peak_flops_per_second = 0;  // of all ranks' threads
  double peak_bytes_per_second = 0;  // of all hosts
  std::vector<BenchResult> results;
  /// Of the whole run: how much of the ranks' time in prefill was not spent computing, and what
  /// went from stage to stage for each row of the pipeline.
  std::optional<double> bubble_share;
  double bytes_per_token = 0;
};

/// Tokens per second of each repetition, all sequences together.
std::vector<double> token_rates(const BenchResult& result);

/// What a case achieved of the peak that bounds it: reading of the arithmetic (`flops`),
/// generating of the memory.
double fma_share(const BenchReport& report, const BenchResult& result);
std::optional<double> read_share(const BenchReport& report, const BenchResult& result);

/// md: the peaks in a line, then a table. csv: a row per case. json: an object with `run` and
/// `tests`, whose names are llama-bench's where the meaning is.
std::string bench_table(const BenchReport& report, TableFormat format);

}  // namespace varve
