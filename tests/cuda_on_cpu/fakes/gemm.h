// The arithmetic of the fake cuBLASLt: products are added in float, in ascending k, so that an
// element's bits depend on nothing but its row and its column.
#pragma once

#include <library_types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace varve::fakes {

/// Element (row, column) is at row * row_stride + column * column_stride, in elements of the type.
struct Matrix {
  void* data = nullptr;
  cudaDataType type = CUDA_R_32F;
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;
};

/// D (m, n) = alpha A (m, k) B (k, n) + beta C (m, n) + bias (m).
struct Gemm {
  std::int64_t m = 0, n = 0, k = 0;
  float alpha = 1, beta = 0;
  Matrix a, b, c, d;
  const void* bias = nullptr;
  cudaDataType bias_type = CUDA_R_32F;
};

/// 0 for a type that is not faked.
std::size_t size_of(cudaDataType type);

void run_gemm(const Gemm& gemm);

/// The same in pieces of k whose sums are added at the end: other bits. `sums` holds pieces * m * n
/// floats.
void sum_pieces(const Gemm& gemm, int pieces, float* sums);
void add_pieces(const Gemm& gemm, int pieces, const float* sums);

}  // namespace varve::fakes
