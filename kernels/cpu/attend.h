// Spreads Ops::attend and Ops::add_mass over threads.
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

  /// A task is a key head x some tiles of keys, which it alone adds to; it walks through all rows.
  void add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions, const AttendItem& item,
                const AttendParams& params, const ConstMatrix& lse, const Matrix& mass);

 private:
  struct Queries;
  struct Call;
  struct Slice;
  struct RunTask {
    std::size_t item;
    std::size_t row_begin;  // in the step
    std::size_t row_count;
    std::size_t run;
  };

  void reserve(const Queries& queries);
  std::size_t list_runs(const Call& call);
  void by_rows(const Call& call);
  void by_runs(const Call& call, std::size_t slots);
  void attend_rows(const Call& call, std::size_t row_begin, std::size_t row_count, std::size_t head,
                   std::size_t thread);
  void attend_run(const Call& call, const RunTask& task, std::size_t head, std::size_t thread);
  void merge_row(const Call& call, std::size_t row);
  void add_slice_mass(const Queries& queries, const Slice& slice, const KeyRange& run,
                      const ConstMatrix& lse, const Matrix& mass, std::size_t thread);
  /// Loads the queries of a slice and finds what they see. False: nothing of `part`.
  bool open(const Queries& queries, const Slice& slice, const KeyRange& part, std::size_t thread);
  /// `run` as the slice opened last sees it.
  RunKeys keys_of(const Slice& slice, const KeyRange& run, std::size_t thread) const;
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
