// `varve bench --scaling 1,2,4`: reading documents on so many ranks.
//
//   strong  the same document on any number of ranks
//   weak    a document that grows with them; the largest is the strong one, so that both ask the
//           same of the context, and the runs on the most ranks are one
//
// Speed-up is in arithmetic per second, because attention makes a token of a longer document
// dearer; for one document that is the same as in tokens per second. Efficiency is the speed-up by
// what so many times the ranks of the first row could be hoped to give.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/bench/bench_work.h"
#include "coordinator/bench/text_table.h"

namespace varve {

struct ScalingRun {
  bool weak = false;
  std::uint32_t ranks = 0;
  std::uint32_t tokens = 0;
};

/// Strong runs, then weak ones, each from the fewest ranks to the most. ConfigError if a document
/// of `tokens` tokens cannot be cut in as many parts as there are ranks.
std::vector<ScalingRun> scaling_runs(std::vector<std::uint32_t> ranks, std::uint32_t tokens);

/// What one run has shown.
struct ScalingPoint {
  std::uint64_t ranks = 0;
  std::uint64_t threads = 0;  // of each rank
  std::string backend;
  std::uint64_t tokens = 0;
  Spread rate;  // tokens per second
  double flops_per_second = 0;
  double bubble_share = 0;
  double bytes_per_token = 0;
};

/// From what a bench of one prompt prints as JSON. Error if it is no such thing.
ScalingPoint read_point(std::string_view json);

struct ScalingRow {
  bool weak = false;
  ScalingPoint point;
  double speed_up = 1;  // over the first row of its kind
  double efficiency = 1;
};

/// `points[i]` is of `runs[i]`.
std::vector<ScalingRow> scaling_rows(std::span<const ScalingRun> runs,
                                     std::span<const ScalingPoint> points);

std::string scaling_table(std::string_view model, std::span<const ScalingRow> rows,
                          TableFormat format);

}  // namespace varve
