// Spreads Ops::attend over threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/buffer.h"
#include "kernels/cpu/attend_run.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/ops.h"

namespace varve {

/// Two ways to cut the work, the same arithmetic in both: every run of every item gives a partial,
/// and a row merges its partials in the order of items and runs.
///   by rows  a task is a block of rows x a key head; it walks through all items and runs itself
///   by runs  a task is a run x a key head; partials wait in memory until all are there (few rows)
class Attention {
 public:
  Attention(std::int64_t target, ThreadPool& pool);

  void attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
              std::span<const AttendItem> items, const AttendParams& params, const Partial& state);

 private:
  struct Call;
  struct Slice;
  struct RunTask {
    std::size_t item;
    std::size_t row_begin;  // in the step
    std::size_t row_count;
    std::size_t run;
  };

  void reserve(const Call& call);
  std::size_t list_runs(const Call& call);
  void by_rows(const Call& call);
  void by_runs(const Call& call, std::size_t slots);
  void attend_rows(const Call& call, std::size_t row_begin, std::size_t row_count, std::size_t head,
                   std::size_t thread);
  void attend_run(const Call& call, const RunTask& task, std::size_t head, std::size_t thread);
  void merge_row(const Call& call, std::size_t row);
  /// Loads the queries of a slice and finds what they see. False: nothing.
  bool open(const Call& call, const Slice& slice, std::size_t thread);
  RunPartial fold(const Call& call, const Slice& slice, std::size_t run, std::size_t thread);

  AttendKernels kernels_;
  ThreadPool& pool_;
  // Work memory, grown when a call needs more, never given back.
  std::vector<Buffer> scratch_;                 // [threads]
  std::vector<std::vector<KeyRange>> visible_;  // [threads][rows of a block]
  std::vector<RunTask> tasks_;
  std::vector<std::size_t> first_slot_;  // [items]: its partials lie behind here, [runs][rows]
  std::vector<float> slots_out_;         // [slots][Hq * D]
  std::vector<float> slots_lse_;         // [slots][Hq]
};

}  // namespace varve
