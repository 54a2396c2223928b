// Kernels on the emulator, launched into the streams of the fake runtime.
#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/fakes/arena.h"
#include "tests/cuda_on_cpu/fakes/fixture.h"

namespace varve::fakes {
namespace {

using testing::HasSubstr;

constexpr unsigned kThreads = 64;

__global__ void scale(float* x, float factor) {
  x[blockIdx.x * blockDim.x + threadIdx.x] *= factor;
}

// The sum of each block, through shared memory.
__global__ void sum_blocks(const float* x, float* sums) {
  VARVE_DYNAMIC_SHARED(memory);
  auto* const shared = reinterpret_cast<float*>(memory);  // (blockDim.x)
  shared[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = shared[0];
}

__global__ void diverge(float* x) {
  if (threadIdx.x < 32) __syncthreads();
  x[threadIdx.x] = 0;
}

class Launch : public testing::TestWithParam<int> {
 protected:
  Launch() { configure(all_orders()[static_cast<std::size_t>(GetParam())]); }
  Resources resources_;
};

INSTANTIATE_TEST_SUITE_P(Orders, Launch, testing::Range(0, 8));

TEST_P(Launch, KernelsRunInTheirStreams) {
  const cudaStream_t one = resources_.stream();
  const cudaStream_t two = resources_.stream();
  const cudaEvent_t event = resources_.event();
  auto* x = resources_.device<float>(2 * kThreads);
  auto* sums = resources_.device<float>(2);
  fill(one, x, 2 * kThreads, 1);
  gpu::launch<scale>({2, kThreads, 0, one}, x, 3);
  EXPECT_CUDA(cudaEventRecord(event, one));
  EXPECT_CUDA(cudaStreamWaitEvent(two, event, 0));
  gpu::launch<sum_blocks>({2, kThreads, kThreads * sizeof(float), two}, x, sums);
  float got[2] = {};
  EXPECT_CUDA(cudaMemcpyAsync(got, sums, sizeof got, cudaMemcpyDeviceToHost, two));
  EXPECT_CUDA(cudaStreamSynchronize(two));
  EXPECT_THAT(got, testing::Each(3.0F * kThreads));
}

TEST_P(Launch, KernelsCanBeCaptured) {
  const cudaStream_t stream = resources_.stream();
  auto* x = resources_.device<float>(kThreads);
  fill(stream, x, kThreads, 1);
  EXPECT_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  gpu::launch<scale>({1, kThreads, 0, stream}, x, 2);
  cudaGraph_t graph = nullptr;
  EXPECT_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  for (int i = 0; i < 3; ++i) EXPECT_CUDA(cudaGraphLaunch(instance, stream));
  float got = 0;
  EXPECT_CUDA(cudaMemcpyAsync(&got, x, sizeof got, cudaMemcpyDeviceToHost, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_EQ(got, 8);
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

TEST_P(Launch, KernelsFailWhereTheHostWaits) {
  const cudaStream_t stream = resources_.stream();
  auto* x = resources_.device<float>(kThreads);
  gpu::launch<diverge>({1, kThreads, 0, stream}, x);
  try {
    cudaStreamSynchronize(stream);
    FAIL();
  } catch (const KernelError& error) {
    EXPECT_THAT(error.what(), HasSubstr("diverge"));
    EXPECT_THAT(error.what(), HasSubstr("launch_test.cc"));
  }
}

TEST_P(Launch, KernelsThatWriteBehindABlockAreNamed) {
  if (kHeapBacked) GTEST_SKIP() << "AddressSanitizer finds it where it happens";
  const cudaStream_t stream = resources_.stream();
  auto* x = resources_.device<float>(kThreads - 1);
  gpu::launch<scale>({1, kThreads, 0, stream}, x, 2);
  try {
    cudaStreamSynchronize(stream);
    FAIL();
  } catch (const KernelError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a block of 252 bytes was written behind its end"));
    EXPECT_THAT(error.what(), HasSubstr("scale"));
  }
}

}  // namespace
}  // namespace varve::fakes
