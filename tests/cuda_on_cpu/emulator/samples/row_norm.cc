// y = x / rms(x) * weight, a block for each row.
#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/emulator/samples/sample.h"

namespace varve::samples {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr float kEpsilon = 1e-5F;

__device__ float2 load_pair(const __nv_bfloat16* p) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(p));
}

__device__ float sum_of_warp(float value, Bug bug) {
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    value += __shfl_xor_sync(~0U, value, bug == Bug::kWrongLane && lanes == 4 ? 3 : lanes);
  }
  return value;
}

__global__ void __launch_bounds__(kThreads)
    row_norm(const __nv_bfloat16* x, const float* weight, __nv_bfloat16* y, int dim, Bug bug) {
  VARVE_DYNAMIC_SHARED(memory);
  auto* const sums = reinterpret_cast<float*>(memory);  // (kWarps)
  const int thread = static_cast<int>(threadIdx.x);
  const __nv_bfloat16* const row = x + std::size_t{blockIdx.x} * dim;
  float sum = 0;
  for (int i = 2 * thread; i < dim + (bug == Bug::kPastTheRow ? 2 : 0); i += 2 * kThreads) {
    const float2 pair = load_pair(row + i);
    sum += pair.x * pair.x + pair.y * pair.y;
  }
  if (bug == Bug::kLanesReturn && thread >= kThreads - 8) return;
  sum = sum_of_warp(sum, bug);
  if (thread % 32 == 0) sums[thread / 32] = sum;
  if (bug != Bug::kNoBarrierBeforeRead) __syncthreads();
  float all = 0;
  for (int warp = 0; warp < kWarps; ++warp) all += sums[warp];
  const float scale = 1.0F / sqrtf(all / static_cast<float>(dim) + kEpsilon);
  for (int i = 2 * thread; i < dim; i += 2 * kThreads) {
    const float2 pair = load_pair(row + i);
    *reinterpret_cast<__nv_bfloat162*>(y + std::size_t{blockIdx.x} * dim + i) =
        __floats2bfloat162_rn(pair.x * scale * weight[i], pair.y * scale * weight[i + 1]);
  }
}

}  // namespace

Outcome run_row_norm(Bug bug) {
  constexpr std::size_t kRows = 5;
  constexpr std::size_t kDim = 250;
  const std::vector<__nv_bfloat16> x = random_bf16(kRows * kDim, 1);
  const std::vector<float> weight = random_floats(kDim, 2);
  std::vector<__nv_bfloat16> y(x.size());
  gpu::launch<row_norm>({dim3(kRows), dim3(kThreads), kWarps * sizeof(float)}, x.data(),
                        weight.data(), y.data(), static_cast<int>(kDim), bug);
  Outcome outcome;
  outcome.append(y);
  for (std::size_t row = 0; row < kRows; ++row) {
    double squares = 0;
    for (std::size_t i = row * kDim; i < (row + 1) * kDim; ++i) {
      squares += std::pow(__bfloat162float(x[i]), 2);
    }
    const double scale = 1 / std::sqrt(squares / kDim + kEpsilon);
    for (std::size_t i = 0; i < kDim; ++i) {
      const double wanted = __bfloat162float(x[row * kDim + i]) * scale * weight[i];
      // Half a unit in bfloat16's last place, and float32's rounding of the sum.
      outcome.compare(__bfloat162float(y[row * kDim + i]), wanted,
                      std::abs(wanted) * (0x1p-8 + 0x1p-18) + 1e-30);
    }
  }
  return outcome;
}

}  // namespace varve::samples
