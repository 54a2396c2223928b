// Interpreted kernels on the fake runtime: accesses out of device memory surface where the host
// waits.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tests/cuda_on_cpu/kernel_error.h"
#include "tests/cuda_on_cpu/ptx/on_fakes_kernel.h"

namespace varve::ptx {
namespace {

constexpr unsigned kFloats = 256;
constexpr std::size_t kBytes = kFloats * sizeof(float);

class OnFakes : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&in_), kBytes), cudaSuccess);
    ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&out_), 2 * kBytes), cudaSuccess);
    std::iota(host_.begin(), host_.end(), 1.0F);
    cudaMemcpyAsync(in_, host_.data(), kBytes, cudaMemcpyHostToDevice, stream_);
  }
  void TearDown() override {
    cudaFree(in_);
    cudaFree(out_);
    cudaStreamDestroy(stream_);
  }

  // What the wait throws; empty if it does not.
  std::string failure() const {
    try {
      cudaStreamSynchronize(stream_);
    } catch (const KernelError& error) {
      return error.what();
    }
    return {};
  }
  std::vector<float> result() const {
    std::vector<float> got(kFloats);
    cudaMemcpyAsync(got.data(), out_, kBytes, cudaMemcpyDeviceToHost, stream_);
    EXPECT_EQ(failure(), "");
    return got;
  }

  cudaStream_t stream_ = nullptr;
  float* in_ = nullptr;
  float* out_ = nullptr;
  std::vector<float> host_ = std::vector<float>(kFloats);
};

TEST_F(OnFakes, KernelsRunInTheStream) {
  launch_copy(stream_, in_, out_, kFloats);
  EXPECT_EQ(result(), host_);
}

TEST_F(OnFakes, CopiesToo) {
  launch_copy_async(stream_, in_, out_, kFloats);
  EXPECT_EQ(result(), host_);
}

TEST_F(OnFakes, ReadsBehindABlockAreFound) {
  launch_copy(stream_, in_, out_, kFloats + 32);
  EXPECT_THAT(failure(), testing::ContainsRegex(
                             "copy.*, block .8,0,0.: global memory out of bounds: 4 byte.s. "
                             "at 0x[0-9a-f]+: thread .0,0,0. at .*ld.global.*on_fakes_kernel"));
}

TEST_F(OnFakes, CopiesFromBehindABlockAreFound) {
  launch_copy_async(stream_, in_, out_, kFloats + 128);
  EXPECT_THAT(failure(), testing::ContainsRegex("copy_async.*, block .2,0,0.: global memory out of "
                                                "bounds: 16 byte.s..*cp.async"));
}

TEST_F(OnFakes, HostMemoryIsNotTheirs) {
  launch_copy(stream_, host_.data(), out_, kFloats);
  EXPECT_THAT(failure(), testing::HasSubstr("global memory out of bounds"));
}

}  // namespace
}  // namespace varve::ptx
