// Kernels for compiled_test.cc: block y calls function y on every number.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "tests/cuda_on_cpu/ptx/compiled_functions.h"

namespace varve::ptx {

extern "C" __global__ void float_functions(const float* in, float* out) {
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
  out[blockIdx.y * gridDim.x * blockDim.x + at] =
      float_function(static_cast<int>(blockIdx.y), in[at]);
}

extern "C" __global__ void double_functions(const double* in, double* out) {
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
  out[blockIdx.y * gridDim.x * blockDim.x + at] =
      double_function(static_cast<int>(blockIdx.y), in[at]);
}

extern "C" __global__ void integer_functions(const std::uint64_t* in, std::uint64_t* out) {
  const unsigned at = blockIdx.x * blockDim.x + threadIdx.x;
  out[blockIdx.y * gridDim.x * blockDim.x + at] =
      integer_function(static_cast<int>(blockIdx.y), in[at]);
}

__device__ __noinline__ float2 apart(float2 x, int turns) {
  for (int i = 0; i < turns; ++i) x = make_float2(x.y + 1, x.x);
  return x;
}

// Each thread its own number of turns, in a function that is not inlined.
extern "C" __global__ void called(const float2* in, float2* out) {
  out[threadIdx.x] = apart(apart(in[threadIdx.x], static_cast<int>(threadIdx.x)), 3);
}

// Pairs: out[0] = a b + c, out[1] = max(a, b), out[2] = a + b rounded, out[3] = a and b as floats,
// their product rounded.
template <class Pair>
__device__ void pairs(const Pair* in, Pair* out) {
  const Pair a = in[3 * threadIdx.x];
  const Pair b = in[3 * threadIdx.x + 1];
  const Pair c = in[3 * threadIdx.x + 2];
  out[4 * threadIdx.x] = __hfma2(a, b, c);
  out[4 * threadIdx.x + 1] = __hmax2(a, b);
  out[4 * threadIdx.x + 2] = __hadd2(a, b);
  out[4 * threadIdx.x + 3] = __hmul2(a, b);
}

extern "C" __global__ void half_pairs(const __half2* in, __half2* out) {
  pairs(in, out);
}
extern "C" __global__ void bf16_pairs(const __nv_bfloat162* in, __nv_bfloat162* out) {
  pairs(in, out);
}

}  // namespace varve::ptx
