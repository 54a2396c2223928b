// Four small kernels of the kinds that a language model needs, each with a host program that
// launches it on fixed inputs and compares what comes back with double precision.
#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <vector>

#include "tests/cuda_on_cpu/emulator/samples/bug.h"

namespace varve::samples {

struct Outcome {
  double error = 0;  // the largest, as a share of what is tolerated: 1 is just right
  std::vector<std::byte> bytes;

  void compare(double got, double wanted, double tolerance) {
    const double share = std::abs(got - wanted) / tolerance;
    error = share <= error ? error : std::isnan(share) ? INFINITY : share;
  }
  template <class T>
  void append(const std::vector<T>& values) {
    const auto* const begin = reinterpret_cast<const std::byte*>(values.data());
    bytes.insert(bytes.end(), begin, begin + values.size() * sizeof(T));
  }
};

Outcome run_row_norm(Bug bug);
Outcome run_select_top(Bug bug);
Outcome run_prefill(Bug bug);
Outcome run_decode(Bug bug);

/// The one that has this bug; all of them for none.
Outcome run_sample(Bug bug);

// Inputs, the same every time.
std::vector<float> random_floats(std::size_t count, unsigned seed);
std::vector<__nv_bfloat16> random_bf16(std::size_t count, unsigned seed);

struct AttentionShape {
  int queries, keys, heads, kv_heads;  // query i sees the keys up to keys - queries + i
};
inline constexpr int kHeadDim = 32;
inline constexpr float kScale = 0.176776695F;  // 1 / sqrt(kHeadDim)

/// In double: out is [queries][heads][kHeadDim], lse (natural) is [queries][heads].
struct AttentionResult {
  std::vector<double> out, lse;
};
AttentionResult attend_in_double(AttentionShape shape, const std::vector<__nv_bfloat16>& q,
                                 const std::vector<__nv_bfloat16>& k,
                                 const std::vector<__nv_bfloat16>& v);

}  // namespace varve::samples
