// Products with weights by cuBLASLt: y [T, N] = x [T, K] w [N, K]^T (+ bias [N]), summed in
// float32.
//
// The law of ops.h, that a row's bits do not depend on how many rows came with it, holds if one
// algorithm multiplies any number of rows: a tile of fixed size walks along K in order, and sums
// are never split over K. So an algorithm is chosen once for each shape of weight and class of
// rows, for a typical number of rows, and kept.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <map>
#include <tuple>

#include "kernels/cuda/device.h"
#include "kernels/cuda/kernels.h"

namespace varve::cuda {

/// What T is typically.
enum class RowClass : std::uint8_t { kFew, kMany };

struct Product {
  const void* x = nullptr;      // [T, K] of the weight's format
  std::size_t x_stride = 0;     // elements from row to row
  const void* w = nullptr;      // [N, K]
  const float* bias = nullptr;  // [N], or none
  WeightFormat format = WeightFormat::kBF16;
  Rows y{};  // [T, N]
  std::uint32_t k = 0;
  RowClass rows = RowClass::kMany;
};

class Gemm {
 public:
  explicit Gemm(Device& device);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// DeviceError if cuBLASLt has no algorithm for the shape.
  void multiply(const Product& product);

 private:
  struct Plan {
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatmulAlgo_t algorithm{};
  };
  // Format, N, K, class, with bias.
  using Key = std::tuple<WeightFormat, std::uint32_t, std::uint32_t, RowClass, bool>;

  Plan& plan_of(const Product& product);
  cublasLtMatmulAlgo_t choose(const Product& product, cublasLtMatmulDesc_t operation);

  Device& device_;
  cublasLtHandle_t handle_ = nullptr;
  Buffer workspace_;
  std::map<Key, Plan> plans_;
};

}  // namespace varve::cuda
