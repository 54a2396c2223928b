// Views of memory that somebody else owns. A view is two dimensions at most: rows of `cols`
// contiguous elements; what a row and a column mean stands in a comment at each declaration.
#pragma once

#include <cstddef>

#include "common/dtype.h"

namespace varve {

/// A read-only matrix [rows, cols] in any dtype, rows contiguous and densely packed. A weight
/// [N, K] has rows = outputs. A vector is one row.
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  std::size_t rows = 0;
  std::size_t cols = 0;

  explicit operator bool() const { return data != nullptr; }
  std::size_t bytes() const { return rows * row_bytes(dtype, cols); }
};

/// A float32 matrix [rows, cols] with a row stride in elements: activations.
struct ConstMatrix {
  const float* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  const float* row(std::size_t r) const { return data + r * stride; }
};

struct Matrix {
  float* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  float* row(std::size_t r) const { return data + r * stride; }
  operator ConstMatrix() const { return {data, rows, cols, stride}; }
  /// Rows [begin, begin + count).
  Matrix slice(std::size_t begin, std::size_t count) const {
    return {data + begin * stride, count, cols, stride};
  }
};

}  // namespace varve
