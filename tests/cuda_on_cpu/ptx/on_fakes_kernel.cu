#include "tests/cuda_on_cpu/ptx/on_fakes_kernel.h"

#include "kernels/cuda/gpu.h"

namespace varve::ptx {
namespace {

__global__ void copy(const float* in, float* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = in[i];
}

__global__ void copy_async(const float* in, float* out) {
  VARVE_DYNAMIC_SHARED(memory);
  auto* const mine = reinterpret_cast<float*>(memory) + 4 * threadIdx.x;
  const unsigned i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  gpu::cp_async16(mine, in + i);
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
  for (unsigned k = 0; k < 4; ++k) out[i + k] = mine[k];
}

}  // namespace

void launch_copy(cudaStream_t stream, const float* in, float* out, unsigned n) {
  gpu::launch<copy>({dim3(n / 32), dim3(32), 0, stream}, in, out);
}

void launch_copy_async(cudaStream_t stream, const float* in, float* out, unsigned n) {
  gpu::launch<copy_async>({dim3(n / 128), dim3(32), 512, stream}, in, out);
}

}  // namespace varve::ptx
