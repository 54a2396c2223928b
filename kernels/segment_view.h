// What a segment of cached rows shows to a kernel. Row i of key head h is row heads[h].begin + i of
// the segment's arrays. Heads may hold different numbers of rows, or none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "common/cached_rows.h"

namespace varve {

/// Where the rows of one key head lie in a segment's arrays.
struct HeadRows {
  std::uint32_t begin = 0;  // in integer formats a multiple of kRowGroup
  std::uint32_t rows = 0;
};

/// Attendable rows of one layer, ascending by position within each head.
struct SegmentView {
  DType dtype = DType::kF16;     // f32, f16, bf16, or int8, int4, int2
  const void* keys = nullptr;    // [rows of all heads, D], after RoPE
  const void* values = nullptr;  // [rows of all heads, D]
  const std::int32_t* positions =
      nullptr;                        // [rows of all heads], strictly ascending within a head;
                                      // or [rows], the same for heads of equally many rows
  bool shared_positions = true;       // the latter
  std::span<const HeadRows> heads{};  // [Hkv], owned by the segment
  std::size_t head_dim = 0;

  std::size_t kv_heads() const { return heads.size(); }
  std::size_t rows(std::size_t head) const { return heads[head].rows; }
  std::size_t most_rows() const {
    std::size_t most = 0;
    for (const HeadRows& head : heads) most = std::max<std::size_t>(most, head.rows);
    return most;
  }
  std::span<const std::int32_t> positions_of(std::size_t head) const {
    return {positions + (shared_positions ? 0 : heads[head].begin), rows(head)};
  }
  /// The same segment as if it had this one key head.
  SegmentView only(std::size_t head) const {
    SegmentView view = *this;
    view.heads = heads.subspan(head, 1);
    return view;
  }
};

/// The writable side of a segment. Its `rows` are those that may be written: for rows that come
/// behind the ones that are there, the number after the call.
struct SegmentStore {
  DType dtype = DType::kF16;
  void* keys = nullptr;
  void* values = nullptr;
  std::int32_t* positions = nullptr;
  bool shared_positions = true;
  std::span<const HeadRows> heads{};
  std::size_t head_dim = 0;

  std::size_t kv_heads() const { return heads.size(); }
  SegmentView view() const {
    return {dtype, keys, values, positions, shared_positions, heads, head_dim};
  }
};

}  // namespace varve
