// Device arithmetic that every attention kernel shares. Two kernels that must agree to the bit call
// the same function here; nvcc is told not to fuse products and sums on its own.
#pragma once

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/real_math.h"
#include "kernels/cuda/shapes.h"

namespace varve::cuda {

inline constexpr float kLog2E = 1.4426950408889634F;
inline constexpr float kLn2 = 0.6931471805599453F;

__device__ inline float minus_infinity() {
  return __uint_as_float(0xff800000U);
}

/// Whether a query at `query` sees a key at `key`. Rows that are not there have the position
/// INT32_MAX.
__device__ inline bool is_visible(std::int32_t key, std::int32_t query, std::int32_t window) {
  return key <= query && query - key < window;
}

inline constexpr std::int32_t kNoQuery = -1;  // where a tile has fewer queries than room

/// What some queries see between them, to pass over tiles of keys that none of them does. Keys
/// ascend.
struct Sight {
  std::int32_t last = kNoQuery;     // the latest key that any sees
  std::int32_t before = INT32_MAX;  // none sees a key at or before it

  __device__ void add(std::int32_t query, std::int32_t window) {
    if (query == kNoQuery) return;
    last = max(last, query);
    before = min(before, query < window ? kNoQuery : query - window);
  }
  __device__ bool reaches(std::int32_t key) const { return key <= last; }
  __device__ bool is_past(std::int32_t key) const { return key <= before; }
};

/// The queries of a tile: number j of an item's rows and the heads of a group, rows first.
struct QueryTile {
  std::uint32_t row_begin, row_count;  // of the item or task
  std::uint32_t first;                 // its first query
  std::uint32_t kv_head, group;

  __device__ bool has(std::uint32_t i) const { return first + i < row_count * group; }
  __device__ std::uint32_t row(std::uint32_t i) const { return row_begin + (first + i) / group; }
  __device__ std::uint32_t head(std::uint32_t i) const {
    return kv_head * group + (first + i) % group;
  }
};

/// What merge(state, other) multiplies its two sides by, and the new lse (Partial of ops.h).
struct Merge {
  float state = 1;
  float other = 0;
  float lse = 0;
  bool takes = true;  // false: the other side saw no key, and nothing changes
};

__device__ inline Merge merge_of(float state_lse, float other_lse) {
  const float none = minus_infinity();
  if (other_lse == none) return {1, 0, state_lse, false};
  if (state_lse == none) return {0, 1, other_lse, true};
  const float top = fmaxf(state_lse, other_lse);
  const float state = exp_f32(state_lse - top);
  const float other = exp_f32(other_lse - top);
  const float sum = state + other;
  return {state / sum, other / sum, top + log_f32(sum), true};
}

/// One number of the merged output. A side of weight zero may hold anything.
__device__ inline float merged(const Merge& m, float state, float other) {
  if (m.state == 0) return other * m.other;
  return fmaf(m.other, other, m.state * state);
}

}  // namespace varve::cuda
