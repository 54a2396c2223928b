// Everything that works row by row: norms, rotation, activation, encoding, decoding. One table of
// functions per instruction set; all take a range of rows [begin, end).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/ops.h"

namespace varve {

/// A summary before the logarithm: sum of exp(x - largest).
struct PieceSummary {
  std::size_t top = 0;
  float largest = 0;
  float sum = 0;
};

struct RowKernels {
  void (*rms_norm)(ConstMatrix x, std::span<const float> gain, double eps, Matrix y,
                   std::size_t begin, std::size_t end);
  void (*rope)(Matrix x, ConstMatrix cos_sin, std::size_t head_dim, RopeLayout layout,
               std::size_t begin, std::size_t end);
  void (*silu_mul)(ConstMatrix gate, ConstMatrix up, Matrix y, std::size_t begin, std::size_t end);
  void (*add)(ConstMatrix x, Matrix y, std::size_t begin, std::size_t end);
  /// Of at least one value.
  PieceSummary (*summarize)(std::span<const float> x);
  /// Rounds `count` values to the dtype (f32, f16 or bf16).
  void (*encode)(DType dtype, const float* from, std::size_t count, void* to);
  /// Rows first + i of a head as float32, into row i of the matrix, for i in [begin, end).
  void (*decode_keys)(const SegmentView& from, std::size_t head, std::size_t first, Matrix keys,
                      std::size_t begin, std::size_t end);
  void (*decode_values)(const SegmentView& from, std::size_t head, std::size_t first, Matrix values,
                        std::size_t begin, std::size_t end);
};

RowKernels row_kernels(std::int64_t target);

}  // namespace varve
