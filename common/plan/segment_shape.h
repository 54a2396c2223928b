// What a segment of cached rows has room for, and the bytes that it takes: the planner adds them up
// and the worker allocates them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/dtype.h"
#include "common/model/model_config.h"

namespace varve {

struct SegmentShape {
  std::vector<std::uint32_t> capacity;  // [Hkv], rows of each key head
  DType dtype = DType::kF16;
  /// Whether the heads hold rows of the same positions: one list of them, instead of one a head.
  bool shared_positions = true;

  /// The same room for each head.
  static SegmentShape even(const ModelConfig& model, std::size_t rows, DType dtype,
                           bool shared_positions = true);

  /// First row of a head in the segment's arrays; of kv_heads(): the number of rows in all.
  std::size_t begin(std::size_t head) const;
  std::size_t kv_heads() const { return capacity.size(); }
};

/// Keys, values and positions (4 bytes each).
std::size_t segment_bytes(const SegmentShape& shape, std::size_t head_dim);

/// Work memory of a stage whose keys stand before their rotation: angles of a step of `rows` rows
/// and of `slots` slots, and one layer's turned keys.
std::size_t plain_keys_bytes(const ModelConfig& model, std::size_t rows, std::size_t slots,
                             DType dtype);

}  // namespace varve
