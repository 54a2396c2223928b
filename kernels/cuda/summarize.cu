// What a token is chosen by, of each row of logits.
#include "kernels/cuda/attend_math.h"
#include "kernels/cuda/kernels.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kThreads = 512;

// The largest number and, among equals, the lowest place.
struct Best {
  float value;
  std::int32_t at;

  __device__ void take(const Best& other) {
    if (other.value > value || (other.value == value && other.at < at)) *this = other;
  }
};

}  // namespace

// A block a row: its largest, then the sum of exponentials, both by trees over fixed shares.
__global__ void __launch_bounds__(kThreads) summarize_kernel(ConstRows x, Summary* out) {
  VARVE_DYNAMIC_SHARED(memory);
  auto* bests = reinterpret_cast<Best*>(memory);  // [kThreads]
  auto* sums = reinterpret_cast<double*>(memory + kThreads * sizeof(Best));
  const float* row = x.data + blockIdx.x * x.stride;
  Best best{minus_infinity(), INT32_MAX};
  for (std::uint32_t i = threadIdx.x; i < x.cols; i += kThreads) {
    best.take({row[i], static_cast<std::int32_t>(i)});
  }
  bests[threadIdx.x] = best;
  __syncthreads();
  for (std::uint32_t half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) bests[threadIdx.x].take(bests[threadIdx.x + half]);
    __syncthreads();
  }
  const Best top = bests[0];
  double sum = 0;
  for (std::uint32_t i = threadIdx.x; i < x.cols; i += kThreads) {
    sum += static_cast<double>(exp_f32(row[i] - top.value));
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (std::uint32_t half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    // A row of NaN has no largest.
    const bool found = top.at < static_cast<std::int32_t>(x.cols);
    out[blockIdx.x] = {found ? top.at : 0, found ? top.value : row[0],
                       static_cast<float>(log(sums[0]))};
  }
}

void summarize(ConstRows x, Summary* out, cudaStream_t stream) {
  constexpr unsigned kShared = kThreads * (sizeof(Best) + sizeof(double));
  gpu::launch<summarize_kernel>({dim3(x.rows), dim3(kThreads), kShared, stream}, x, out);
}

}  // namespace varve::cuda
