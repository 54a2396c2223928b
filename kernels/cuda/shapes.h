// What CUDA kernels are told about memory: plain structs of pointers into device memory and counts,
// passed by value or as arrays that the host staged. No standard containers: device code reads
// them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve::cuda {

/// A float32 matrix [rows, cols], rows `stride` elements apart.
struct Rows {
  float* data = nullptr;
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  std::size_t stride = 0;
};

struct ConstRows {
  const float* data = nullptr;
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  std::size_t stride = 0;
};

/// How cached rows are stored (common/cached_rows.h).
enum class RowFormat : std::int32_t { kF32, kF16, kBF16, kInt8, kInt4, kInt2 };

/// Rows of one key head of a segment.
struct Head {
  const void* keys = nullptr;               // [rows, D], or blocks [rows / 32, D]
  const void* values = nullptr;             // [rows, D], or blocks [rows, D / 32]
  const std::int32_t* positions = nullptr;  // [rows], ascending
  std::uint32_t rows = 0;
};

/// The same, to be written.
struct HeadStore {
  void* keys = nullptr;
  void* values = nullptr;
  std::int32_t* positions = nullptr;
};

/// What all queries of a call share.
struct Attention {
  ConstRows q;                                // [T, Hq * D]
  const std::int32_t* q_positions = nullptr;  // [T]
  std::int32_t q_heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  std::int32_t window = INT32_MAX;  // a query at p sees keys at (p - window, p]
  float scale = 0;
  RowFormat format = RowFormat::kF16;
};

/// Where a fold leaves its partials: a state that it merges them into, or slots behind each other
/// that a later kernel merges.
struct Partials {
  float* out = nullptr;  // [rows or slots, Hq * D]
  float* lse = nullptr;  // [rows or slots, Hq]
  std::size_t out_stride = 0;
  std::size_t lse_stride = 0;
};

/// Rows that one key head's runs are cut into. Short enough to give a decode step of 4 thousand
/// rows something to do on every multiprocessor.
inline constexpr std::uint32_t kRunRows = 512;
/// Keys of a tile: what an online softmax takes at once.
inline constexpr std::uint32_t kTileKeys = 64;

/// A task of a fold that is cut by runs: rows [row_begin, row_begin + row_count) of the step look
/// at run `run` of item `item`; the partial of row r goes to slot `slot` + r - row_begin.
struct RunTask {
  std::uint32_t item = 0;
  std::uint32_t row_begin = 0;
  std::uint32_t row_count = 0;
  std::uint32_t run = 0;
  std::uint32_t slot = 0;
};

/// An item's slots: those of run i of row r are at first + i * row_count + r - row_begin.
struct ItemSlots {
  std::uint32_t row_begin = 0;
  std::uint32_t row_count = 0;
  std::uint32_t runs = 0;
  std::uint32_t first = 0;
};

}  // namespace varve::cuda
