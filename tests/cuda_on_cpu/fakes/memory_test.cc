#include <cmath>
#include <cstdint>
#include <cstring>

#include "tests/cuda_on_cpu/fakes/arena.h"
#include "tests/cuda_on_cpu/fakes/fixture.h"

namespace varve::fakes {

// In no anonymous namespace, so that the message about it can name it.
[[gnu::noinline]] float touch_device_memory(const float* p) {
  return *const_cast<const volatile float*>(p);
}

namespace {

using testing::HasSubstr;

class Memory : public testing::Test {
 protected:
  Memory() { configure(settings_for(Order::kLazy)); }

  std::vector<float> read(cudaStream_t stream, const float* p, std::size_t count) {
    std::vector<float> out(count);
    EXPECT_CUDA(
        cudaMemcpyAsync(out.data(), p, count * sizeof(float), cudaMemcpyDeviceToHost, stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    return out;
  }

  Resources resources_;
};

TEST_F(Memory, BlocksAreAlignedAndApart) {
  const auto* a = resources_.device<char>(1);
  const auto* b = resources_.device<char>(257);
  const auto* c = resources_.device<char>(1);
  for (const char* p : {a, b, c}) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(p) % 256, 0U);
  EXPECT_NE(a, b);
  EXPECT_TRUE(c >= b + 257 || c < b);
}

TEST_F(Memory, FreshMemoryIsNaN) {
  for (const float value : read(resources_.stream(), resources_.device<float>(100), 100)) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST_F(Memory, FreshPinnedMemoryIsNaN) {
  EXPECT_TRUE(std::isnan(resources_.pinned<float>(3)[2]));
}

TEST_F(Memory, CopiesAndFills) {
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(4);
  const float in[] = {1, 2, 3, 4};
  EXPECT_CUDA(cudaMemcpyAsync(p, in, sizeof in, cudaMemcpyHostToDevice, stream));
  EXPECT_CUDA(cudaMemcpyAsync(p + 2, p, 8, cudaMemcpyDeviceToDevice, stream));
  EXPECT_CUDA(cudaMemsetAsync(p, 0, 4, stream));
  EXPECT_THAT(read(stream, p, 4), testing::ElementsAre(0, 2, 1, 2));
}

TEST_F(Memory, CopiesRows) {
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(6);
  EXPECT_CUDA(cudaMemsetAsync(p, 0, 24, stream));
  const float in[] = {1, 2, 3, 4};
  EXPECT_CUDA(cudaMemcpy2DAsync(p, 12, in, 8, 8, 2, cudaMemcpyHostToDevice, stream));
  EXPECT_THAT(read(stream, p, 6), testing::ElementsAre(1, 2, 0, 3, 4, 0));
  EXPECT_CUDA(cudaMemset2DAsync(p, 12, 0, 4, 2, stream));
  EXPECT_THAT(read(stream, p, 6), testing::ElementsAre(0, 2, 0, 0, 4, 0));
}

// CUDA says only that a copy from or to pageable memory might be synchronous.
TEST_F(Memory, PageableMemoryIsReadAsLateAsPinned) {
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(1);
  float host = 1;
  EXPECT_CUDA(cudaMemcpyAsync(p, &host, sizeof host, cudaMemcpyHostToDevice, stream));
  host = 2;
  EXPECT_THAT(read(stream, p, 1), testing::ElementsAre(2));
}

TEST_F(Memory, ACopyMustNameMemoryOfItsKind) {
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(4);
  float host[4] = {};
  EXPECT_EQ(cudaMemcpyAsync(host, p, 16, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
  EXPECT_THAT(last_refusal(), HasSubstr("not device memory"));
  EXPECT_EQ(cudaMemcpyAsync(p, host, 16, cudaMemcpyDeviceToHost, stream), cudaErrorInvalidValue);
  EXPECT_CUDA(cudaMemcpyAsync(p, host, 16, cudaMemcpyDefault, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
}

TEST_F(Memory, ACopyMustStayInItsBlock) {
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(4);
  auto* pinned = resources_.pinned<float>(2);
  float host[5] = {};
  EXPECT_EQ(cudaMemcpyAsync(p, host, 20, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
  EXPECT_THAT(last_refusal(), HasSubstr("20 bytes where the block has 16 left"));
  EXPECT_EQ(cudaMemcpyAsync(pinned, p, 16, cudaMemcpyDeviceToHost, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy2DAsync(p, 8, host, 8, 12, 1, cudaMemcpyHostToDevice, stream),
            cudaErrorInvalidPitchValue);
}

TEST_F(Memory, TheDefaultStreamIsRefused) {
  auto* p = resources_.device<float>(4);
  float host[4] = {};
  EXPECT_NE(cudaMemcpy(p, host, 16, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_NE(cudaMemcpyAsync(p, host, 16, cudaMemcpyHostToDevice, nullptr), cudaSuccess);
  EXPECT_NE(cudaMemset(p, 0, 16), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Memory, IsCountedAndEnds) {
  Settings small = settings_for(Order::kLazy);
  small.memory = 1 << 20;
  configure(small);
  std::size_t free_bytes = 0;
  std::size_t total = 0;
  void* p = nullptr;
  ASSERT_CUDA(cudaMalloc(&p, 1 << 19));
  EXPECT_CUDA(cudaMemGetInfo(&free_bytes, &total));
  EXPECT_EQ(total, std::size_t{1} << 20);
  EXPECT_EQ(free_bytes, std::size_t{1} << 19);
  void* q = &p;
  EXPECT_EQ(cudaMalloc(&q, (1 << 19) + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(q, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_CUDA(cudaFree(p));
  EXPECT_CUDA(cudaMalloc(&p, 1 << 20));
  EXPECT_CUDA(cudaFree(p));
}

TEST_F(Memory, IsUsedAgainManyTimes) {
  Settings small = settings_for(Order::kLazy);
  small.memory = 1 << 20;
  configure(small);
  for (std::size_t i = 0; i < 2000; ++i) {
    void* p = nullptr;
    void* q = nullptr;
    ASSERT_CUDA(cudaMalloc(&p, 1000 * (i % 500) + 1));
    ASSERT_CUDA(cudaMalloc(&q, 1 << 18));
    EXPECT_CUDA(cudaFree(p));
    EXPECT_CUDA(cudaFree(q));
  }
}

TEST_F(Memory, OfAStreamIsFreedInItsOrder) {
  Settings small = settings_for(Order::kLazy);
  small.memory = 1 << 20;
  configure(small);
  const cudaStream_t stream = resources_.stream();
  void* p = nullptr;
  ASSERT_CUDA(cudaMallocAsync(&p, 1 << 20, stream));
  auto* numbers = static_cast<float*>(p);
  fill(stream, numbers, 4, 3);
  float out[4];
  EXPECT_CUDA(cudaMemcpyAsync(out, numbers, sizeof out, cudaMemcpyDeviceToHost, stream));
  EXPECT_CUDA(cudaFreeAsync(p, stream));
  // Room comes when the free has run, which the next allocation waits for.
  void* q = nullptr;
  EXPECT_CUDA(cudaMallocAsync(&q, 1 << 20, stream));
  EXPECT_EQ(out[3], 3);
  EXPECT_CUDA(cudaFreeAsync(q, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
}

TEST_F(Memory, FreedBeforeACopyIsReported) {
  const cudaStream_t stream = resources_.stream();
  const cudaStream_t other = resources_.stream();
  void* p = nullptr;
  ASSERT_CUDA(cudaMallocAsync(&p, 16, stream));
  float host[4] = {};
  EXPECT_CUDA(cudaMemcpyAsync(p, host, 16, cudaMemcpyHostToDevice, other));
  EXPECT_CUDA(cudaFreeAsync(p, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_THROW(cudaStreamSynchronize(other), KernelError);
}

TEST_F(Memory, PinnedMemoryFreedBeforeACopyIsReported) {
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(4);
  void* host = nullptr;
  ASSERT_CUDA(cudaMallocHost(&host, 16));
  EXPECT_CUDA(cudaMemcpyAsync(p, host, 16, cudaMemcpyHostToDevice, stream));
  EXPECT_CUDA(cudaFreeHost(host));
  try {
    cudaStreamSynchronize(stream);
    FAIL();
  } catch (const KernelError& error) {
    EXPECT_THAT(error.what(), HasSubstr("pinned memory was freed before its 16 bytes were used"));
  }
}

TEST_F(Memory, TwiceFreedIsReported) {
  const cudaStream_t stream = resources_.stream();
  void* p = nullptr;
  ASSERT_CUDA(cudaMallocAsync(&p, 16, stream));
  EXPECT_CUDA(cudaFreeAsync(p, stream));
  EXPECT_CUDA(cudaFreeAsync(p, stream));
  EXPECT_THROW(cudaStreamSynchronize(stream), KernelError);
  EXPECT_EQ(cudaFree(p), cudaErrorInvalidValue);
}

TEST_F(Memory, FreeWaitsForTheDevice) {
  const cudaStream_t stream = resources_.stream();
  void* p = nullptr;
  ASSERT_CUDA(cudaMalloc(&p, 16));
  float out[4] = {};
  fill(stream, static_cast<float*>(p), 4, 5);
  EXPECT_CUDA(cudaMemcpyAsync(out, p, 16, cudaMemcpyDeviceToHost, stream));
  EXPECT_CUDA(cudaFree(p));
  EXPECT_EQ(out[0], 5);
}

TEST_F(Memory, IsDescribed) {
  cudaPointerAttributes attributes{};
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, resources_.device<float>(4) + 1));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, resources_.pinned<float>(4) + 1));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, &attributes));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
}

TEST_F(Memory, CanBeRegistered) {
  std::vector<float> host(100);
  cudaPointerAttributes attributes{};
  EXPECT_CUDA(cudaHostRegister(host.data(), 400, cudaHostRegisterDefault));
  EXPECT_CUDA(cudaPointerGetAttributes(&attributes, &host[99]));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  EXPECT_EQ(cudaHostRegister(&host[50], 4, cudaHostRegisterDefault),
            cudaErrorHostMemoryAlreadyRegistered);
  EXPECT_EQ(cudaFreeHost(host.data()), cudaErrorInvalidValue);
  EXPECT_CUDA(cudaHostUnregister(host.data()));
  EXPECT_EQ(cudaHostUnregister(host.data()), cudaErrorHostMemoryNotRegistered);
}

TEST_F(Memory, WrittenBehindABlockIsFoundAtTheNextWait) {
  if (kHeapBacked) GTEST_SKIP() << "AddressSanitizer finds it where it happens";
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(4);
  enqueue(stream, "too far", [p] { p[4] = 0; });
  try {
    cudaStreamSynchronize(stream);
    FAIL();
  } catch (const KernelError& error) {
    EXPECT_THAT(error.what(), HasSubstr("a block of 16 bytes was written behind its end, at byte "
                                        "16; the last work was too far"));
  }
  EXPECT_CUDA(cudaStreamSynchronize(stream));
}

TEST_F(Memory, WrittenBehindABlockIsFoundByAddressSanitizer) {
  if (!kHeapBacked) GTEST_SKIP() << "built without it";
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<char>(13);
  const auto run = [stream, p] {
    enqueue(stream, "too far", [p] { p[13] = 0; });
    cudaStreamSynchronize(stream);
  };
  EXPECT_DEATH(run(), "heap-buffer-overflow");
}

TEST_F(Memory, HostCodeThatTouchesItIsTold) {
  if (kHeapBacked) GTEST_SKIP() << "device memory is host memory under AddressSanitizer";
  auto* p = resources_.device<float>(4);
  fill(resources_.stream(), p, 4, 1);
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_DEATH(touch_device_memory(p),
               "host code touched device memory at 0x.*touch_device_memory");
}

TEST_F(Memory, KernelsThatAreWideOffAreToldApart) {
  if (kHeapBacked) GTEST_SKIP() << "device memory is host memory under AddressSanitizer";
  const cudaStream_t stream = resources_.stream();
  const auto* p = resources_.device<float>(4);
  const auto run = [stream, p] {
    enqueue(stream, "wide off", [p] { touch_device_memory(p + (std::size_t{1} << 28)); });
    cudaStreamSynchronize(stream);
  };
  EXPECT_DEATH(run(), "device code touched memory of no block at 0x.*touch_device_memory");
}

TEST_F(Memory, HostFunctionsTouchItNoMoreThanOtherHostCode) {
  if (kHeapBacked) GTEST_SKIP() << "device memory is host memory under AddressSanitizer";
  const cudaStream_t stream = resources_.stream();
  auto* p = resources_.device<float>(4);
  const auto run = [stream, p] {
    cudaLaunchHostFunc(
        stream, [](void* data) { touch_device_memory(static_cast<float*>(data)); }, p);
    cudaStreamSynchronize(stream);
  };
  EXPECT_DEATH(run(), "host code touched device memory");
}

}  // namespace
}  // namespace varve::fakes
