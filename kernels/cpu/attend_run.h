// Attention of a block of queries over one run of a segment, one table of functions per instruction
// set. Flash-style: tiles of kTileKeys keys at fixed offsets from the head's first row, an
// online softmax in float32, a key tile decoded once for all queries of the block.
//
// Why the bits of a query do not depend on the block: its scores, weights and sums are chains in a
// fixed order over fixed tiles; a key that it does not see gets weight zero, and adding zero times
// a finite value changes nothing (a final + 0.0 makes the two zeros one).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/ops.h"

namespace varve {

inline constexpr std::size_t kTileKeys = 64;
static_assert(kAttendRunRows % kTileKeys == 0);

/// Rows [begin, end) of a key head.
struct KeyRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  bool empty() const { return begin >= end; }
};

/// The heads that share one key head, for some rows: query i is row i / group, head i % group.
struct QueryBlock {
  ConstMatrix q;  // [rows, group * D], strided
  std::size_t group = 0;
  std::size_t head_dim = 0;
  float scale = 0;

  std::size_t queries() const { return q.rows * group; }
};

struct RunKeys {
  const SegmentView* segment = nullptr;
  std::size_t head = 0;
  KeyRange run;                       // begins at a multiple of kTileKeys
  std::span<const KeyRange> visible;  // [rows of the block], of the whole head

  std::size_t rows() const { return segment->rows(head); }
  /// Where a row of the head lies in the segment's arrays.
  std::size_t at(std::size_t row) const { return segment->heads[head].begin + row; }
};

/// Points into the scratch, valid until its next use.
struct RunPartial {
  const float* out;        // [queries, stride], the first head_dim of each row count
  std::size_t out_stride;  // in elements
  const float* lse;        // [queries]
};

struct AttendKernels {
  /// Floats of scratch for `queries` queries.
  std::size_t (*scratch_floats)(std::size_t queries, std::size_t head_dim);
  void (*load_queries)(const QueryBlock& block, float* scratch);
  /// Behind load_queries of the same block, as often as there are runs.
  RunPartial (*fold_run)(const QueryBlock& block, const RunKeys& keys, float* scratch);
  /// Behind load_queries of the same block: folds in the weights of the run's keys, query after
  /// query. lse [rows, group], mass [1 or group, rows of the head].
  void (*add_mass)(const QueryBlock& block, const RunKeys& keys, const ConstMatrix& lse,
                   MassFold fold, const Matrix& mass, float* scratch);
};

AttendKernels attend_kernels(std::int64_t target);

}  // namespace varve
