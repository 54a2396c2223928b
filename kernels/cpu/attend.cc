#include "kernels/cpu/attend.h"

#include <algorithm>
#include <limits>

#include "common/error.h"
#include "kernels/host_memory.h"
#include "kernels/partial.h"

namespace varve {
namespace {

// Queries of a block: enough to pay for decoding a tile, few enough for its state (some 200 KB) to
// stay in L2. The smaller size is for long heads, and for steps that would not give every thread
// some blocks.
constexpr std::size_t kBlockQueries = 192;
constexpr std::size_t kSmallBlockQueries = 96;
constexpr std::size_t kLongHead = 96;  // from here on
constexpr std::size_t kBlocksPerThread = 3;
// Most floats of partials that wait in memory; beyond, the work is cut by rows.
constexpr std::size_t kMaxSlotFloats = std::size_t{16} << 20U;

// Keys of a task of add_mass: enough to pay for loading the queries, few enough for every thread to
// get some of a short segment. Sums of a key know nothing of its run.
constexpr std::size_t kMassRunRows = 256;
static_assert(kMassRunRows % kTileKeys == 0);

std::size_t runs_of(std::size_t rows, std::size_t run_rows = kAttendRunRows) {
  return (rows + run_rows - 1) / run_rows;
}

// Empty where a head has fewer rows than others.
KeyRange run_of(std::size_t rows, std::size_t run, std::size_t run_rows) {
  return {run * run_rows, std::min((run + 1) * run_rows, rows)};
}

// Positions ascend, so what a query sees is one range.
KeyRange visible_range(std::span<const std::int32_t> positions, std::int64_t position,
                       const std::optional<std::size_t>& window) {
  const auto behind = [&](std::int64_t limit) {  // rows with a position of at most `limit`
    const auto at = std::upper_bound(positions.begin(), positions.end(), limit,
                                     [](std::int64_t value, std::int32_t p) { return value < p; });
    return static_cast<std::size_t>(at - positions.begin());
  };
  if (!window || *window > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    return {0, behind(position)};
  }
  return {behind(position - static_cast<std::int64_t>(*window)), behind(position)};
}

}  // namespace

struct Attention::Queries {
  ConstMatrix q;  // [T, Hq * D]
  std::span<const std::int32_t> positions;
  const AttendParams& params;
  std::size_t head_dim;
  std::size_t kv_heads;
  std::size_t block_rows = 0;

  std::size_t group() const { return params.q_heads / kv_heads; }
  std::size_t row_blocks() const { return (q.rows + block_rows - 1) / block_rows; }
  void cut(std::size_t queries) { block_rows = std::max<std::size_t>(1, queries / group()); }
};

struct Attention::Call : Queries {
  std::span<const AttendItem> items;
  const Partial& state;
};

// Some rows of an item, for one key head.
struct Attention::Slice {
  const AttendItem& item;
  std::size_t row_begin;  // in the step
  std::size_t row_count;
  std::size_t head;

  QueryBlock block(const Queries& of) const {
    const std::size_t width = of.group() * of.head_dim;
    return {.q = {of.q.row(row_begin) + head * width, row_count, width, of.q.stride},
            .group = of.group(),
            .head_dim = of.head_dim,
            .scale = of.params.scale};
  }
};

Attention::Attention(std::int64_t target, ThreadPool& pool)
    : kernels_(attend_kernels(target)), pool_(pool), scratch_(pool.size()), visible_(pool.size()) {}

void Attention::attend(ConstMatrix q, std::span<const std::int32_t> q_positions,
                       std::span<const AttendItem> items, const AttendParams& params,
                       const Partial& state) {
  if (q.rows == 0 || items.empty()) return;
  const std::size_t kv_heads = items.front().segment.kv_heads();
  for (const AttendItem& item : items) {
    VARVE_CHECK(item.segment.kv_heads() == kv_heads, "items of {} and {} key heads", kv_heads,
                item.segment.kv_heads());
  }
  Call call{{q, q_positions, params, q.cols / params.q_heads, kv_heads}, items, state};
  bool enough = false;
  for (const std::size_t queries : {kBlockQueries, kSmallBlockQueries}) {
    if (queries == kBlockQueries && call.head_dim >= kLongHead) continue;
    call.cut(queries);
    enough = call.row_blocks() * kv_heads >= kBlocksPerThread * pool_.size();
    if (enough) break;
  }
  reserve(call);
  if (pool_.size() == 1 || enough) return by_rows(call);
  const std::size_t slots = list_runs(call);
  if (slots * q.cols > kMaxSlotFloats) return by_rows(call);
  by_runs(call, slots);
}

void Attention::reserve(const Queries& queries) {
  const std::size_t rows = std::min(queries.block_rows, queries.q.rows);
  const std::size_t bytes =
      kernels_.scratch_floats(rows * queries.group(), queries.head_dim) * sizeof(float);
  for (std::size_t thread = 0; thread < pool_.size(); ++thread) {
    if (scratch_[thread].bytes() < bytes) scratch_[thread] = allocate_host(bytes);
    if (visible_[thread].size() < rows) visible_[thread].resize(rows);
  }
}

void Attention::by_rows(const Call& call) {
  pool_.each(call.row_blocks() * call.kv_heads, [&](std::size_t task, std::size_t thread) {
    // Later blocks see more keys; taking them first leaves the small ones to fill the end.
    const std::size_t block = call.row_blocks() - 1 - task / call.kv_heads;
    const std::size_t begin = block * call.block_rows;
    const std::size_t count = std::min(call.block_rows, call.q.rows - begin);
    attend_rows(call, begin, count, task % call.kv_heads, thread);
  });
}

void Attention::attend_rows(const Call& call, std::size_t row_begin, std::size_t row_count,
                            std::size_t head, std::size_t thread) {
  for (const AttendItem& item : call.items) {
    const std::size_t begin = std::max(row_begin, item.row_begin);
    const std::size_t end = std::min(row_begin + row_count, item.row_begin + item.row_count);
    if (begin >= end) continue;
    const Slice slice{item, begin, end - begin, head};
    const std::size_t rows = item.segment.rows(head);
    if (!open(call, slice, {0, rows}, thread)) continue;
    for (std::size_t run = 0; run < runs_of(rows); ++run) {
      const RunPartial partial = fold(call, slice, run, thread);
      for (std::size_t i = 0; i < slice.row_count * call.group(); ++i) {
        const std::size_t row = begin + i / call.group();
        const std::size_t q_head = head * call.group() + i % call.group();
        merge_head({partial.out + i * partial.out_stride, call.head_dim}, partial.lse[i],
                   {{call.state.out.row(row) + q_head * call.head_dim, call.head_dim},
                    call.state.lse.row(row)[q_head]});
      }
    }
  }
}

bool Attention::open(const Queries& queries, const Slice& slice, const KeyRange& part,
                     std::size_t thread) {
  const auto positions = slice.item.segment.positions_of(slice.head);
  bool any = false;
  for (std::size_t r = 0; r < slice.row_count; ++r) {
    KeyRange& range = visible_[thread][r];
    range = visible_range(positions, queries.positions[slice.row_begin + r], queries.params.window);
    any = any || std::max(range.begin, part.begin) < std::min(range.end, part.end);
  }
  if (any) kernels_.load_queries(slice.block(queries), scratch_[thread].as<float>());
  return any;
}

RunKeys Attention::keys_of(const Slice& slice, const KeyRange& run, std::size_t thread) const {
  return {.segment = &slice.item.segment,
          .head = slice.head,
          .run = run,
          .visible = {visible_[thread].data(), slice.row_count}};
}

RunPartial Attention::fold(const Call& call, const Slice& slice, std::size_t run,
                           std::size_t thread) {
  const std::size_t rows = slice.item.segment.rows(slice.head);
  const RunKeys keys = keys_of(slice, run_of(rows, run, kAttendRunRows), thread);
  return kernels_.fold_run(slice.block(call), keys, scratch_[thread].as<float>());
}

// Fills tasks_ and first_slot_; returns the number of slots.
std::size_t Attention::list_runs(const Call& call) {
  tasks_.clear();
  first_slot_.clear();
  std::size_t slots = 0;
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    const AttendItem& item = call.items[i];
    const std::size_t runs = runs_of(item.segment.most_rows());
    first_slot_.push_back(slots);
    slots += runs * item.row_count;
    for (std::size_t at = 0; at < item.row_count; at += call.block_rows) {
      const std::size_t count = std::min(call.block_rows, item.row_count - at);
      for (std::size_t run = 0; run < runs; ++run) {
        tasks_.push_back({i, item.row_begin + at, count, run});
      }
    }
  }
  return slots;
}

void Attention::by_runs(const Call& call, std::size_t slots) {
  slots_out_.resize(std::max(slots_out_.size(), slots * call.q.cols));
  slots_lse_.resize(std::max(slots_lse_.size(), slots * call.params.q_heads));
  pool_.each(tasks_.size() * call.kv_heads, [&](std::size_t task, std::size_t thread) {
    attend_run(call, tasks_[task / call.kv_heads], task % call.kv_heads, thread);
  });
  pool_.split(call.q.rows, [&](std::size_t begin, std::size_t end, std::size_t) {
    for (std::size_t row = begin; row < end; ++row) merge_row(call, row);
  });
}

void Attention::attend_run(const Call& call, const RunTask& task, std::size_t head,
                           std::size_t thread) {
  const AttendItem& item = call.items[task.item];
  const Slice slice{item, task.row_begin, task.row_count, head};
  const KeyRange run = run_of(item.segment.rows(head), task.run, kAttendRunRows);
  const bool any = open(call, slice, run, thread);
  const RunPartial partial = any ? fold(call, slice, task.run, thread) : RunPartial{};
  const std::size_t first = first_slot_[task.item] + task.run * item.row_count;
  for (std::size_t i = 0; i < task.row_count * call.group(); ++i) {
    const std::size_t slot = first + task.row_begin - item.row_begin + i / call.group();
    const std::size_t at = slot * call.params.q_heads + head * call.group() + i % call.group();
    slots_lse_[at] = any ? partial.lse[i] : -std::numeric_limits<float>::infinity();
    if (!any) continue;
    std::copy_n(partial.out + i * partial.out_stride, call.head_dim,
                slots_out_.data() + at * call.head_dim);
  }
}

void Attention::merge_row(const Call& call, std::size_t row) {
  const std::size_t heads = call.params.q_heads;
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    const AttendItem& item = call.items[i];
    if (row < item.row_begin || row >= item.row_begin + item.row_count) continue;
    const std::size_t runs = runs_of(item.segment.most_rows());
    for (std::size_t run = 0; run < runs; ++run) {
      const std::size_t slot = first_slot_[i] + run * item.row_count + row - item.row_begin;
      for (std::size_t h = 0; h < heads; ++h) {
        const std::size_t at = slot * heads + h;
        merge_head({slots_out_.data() + at * call.head_dim, call.head_dim}, slots_lse_[at],
                   {{call.state.out.row(row) + h * call.head_dim, call.head_dim},
                    call.state.lse.row(row)[h]});
      }
    }
  }
}

void Attention::add_mass(ConstMatrix q, std::span<const std::int32_t> q_positions,
                         const AttendItem& item, const AttendParams& params, const ConstMatrix& lse,
                         const Matrix& mass) {
  const SegmentView& segment = item.segment;
  const std::size_t kv_heads = segment.kv_heads();
  Queries queries{q, q_positions, params, segment.head_dim, kv_heads};
  queries.cut(segment.head_dim >= kLongHead ? kSmallBlockQueries : kBlockQueries);
  reserve(queries);
  const std::size_t runs = runs_of(segment.most_rows(), kMassRunRows);
  const std::size_t sums = mass.rows / kv_heads;  // rows of mass of a key head
  pool_.each(runs * kv_heads, [&](std::size_t task, std::size_t thread) {
    const std::size_t head = task % kv_heads;
    const KeyRange run = run_of(segment.rows(head), task / kv_heads, kMassRunRows);
    for (std::size_t at = 0; at < item.row_count; at += queries.block_rows) {
      const std::size_t count = std::min(queries.block_rows, item.row_count - at);
      const Slice slice{item, item.row_begin + at, count, head};
      add_slice_mass(queries, slice, run, lse, mass.slice(head * sums, sums), thread);
    }
  });
}

void Attention::add_slice_mass(const Queries& queries, const Slice& slice, const KeyRange& run,
                               const ConstMatrix& lse, const Matrix& mass, std::size_t thread) {
  if (!open(queries, slice, run, thread)) return;
  const std::size_t group = queries.group();
  const float* first = lse.row(slice.row_begin) + slice.head * group;
  kernels_.add_mass(slice.block(queries), keys_of(slice, run, thread),
                    {first, slice.row_count, group, lse.stride}, queries.params.mass, mass,
                    scratch_[thread].as<float>());
}

}  // namespace varve
