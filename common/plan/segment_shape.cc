#include "common/plan/segment_shape.h"

#include <algorithm>

#include "common/cached_rows.h"

namespace varve {

SegmentShape SegmentShape::even(const ModelConfig& model, std::size_t rows, DType dtype,
                                bool shared_positions) {
  return {std::vector<std::uint32_t>(model.kv_heads, static_cast<std::uint32_t>(rows)), dtype,
          shared_positions};
}

std::size_t SegmentShape::begin(std::size_t head) const {
  std::size_t rows = 0;
  for (std::size_t h = 0; h < head; ++h) rows += stored_rows(dtype, capacity[h]);
  return rows;
}

std::size_t segment_bytes(const SegmentShape& shape, std::size_t head_dim) {
  const std::size_t rows = shape.begin(shape.kv_heads());
  const std::size_t most =
      shape.capacity.empty() ? 0 : *std::max_element(shape.capacity.begin(), shape.capacity.end());
  return key_bytes(shape.dtype, rows, head_dim) + value_bytes(shape.dtype, rows, head_dim) +
         (shape.shared_positions ? most : rows) * sizeof(std::int32_t);
}

std::size_t plain_keys_bytes(const ModelConfig& model, std::size_t rows, std::size_t slots,
                             DType dtype) {
  return (rows + slots) * model.rope_dims * sizeof(float) +
         key_bytes(dtype, model.kv_heads * slots, model.head_dim);
}

}  // namespace varve
