// For tests of the fakes.
#pragma once

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "tests/cuda_on_cpu/device_queue.h"
#include "tests/cuda_on_cpu/fakes/fakes.h"
#include "tests/cuda_on_cpu/kernel_error.h"

#define ASSERT_CUDA(call) ASSERT_EQ(cudaSuccess, (call)) << varve::fakes::last_refusal()
#define EXPECT_CUDA(call) EXPECT_EQ(cudaSuccess, (call)) << varve::fakes::last_refusal()

namespace varve::fakes {

inline Settings settings_for(Order order, std::uint32_t seed = 1, int devices = 1) {
  Settings settings;
  settings.order = order;
  settings.seed = seed;
  settings.devices.clear();
  for (int i = 0; i < devices; ++i) settings.devices.push_back(i);
  settings.deadline = std::chrono::seconds(20);  // machines may be busy
  return settings;
}

/// For what hangs on purpose.
inline Settings with_short_deadline(Settings settings) {
  settings.deadline = std::chrono::milliseconds(300);
  return settings;
}

/// Streams, events and memory that go with it.
class Resources {
 public:
  Resources() = default;
  ~Resources() {
    for (cudaStream_t stream : streams_) EXPECT_CUDA(cudaStreamDestroy(stream));
    for (cudaEvent_t event : events_) EXPECT_CUDA(cudaEventDestroy(event));
    for (void* p : device_) EXPECT_CUDA(cudaFree(p));
    for (void* p : pinned_) EXPECT_CUDA(cudaFreeHost(p));
  }
  Resources(const Resources&) = delete;
  Resources& operator=(const Resources&) = delete;

  cudaStream_t stream() {
    cudaStream_t made = nullptr;
    EXPECT_CUDA(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking));
    streams_.push_back(made);
    return made;
  }
  cudaEvent_t event(unsigned flags = cudaEventDisableTiming) {
    cudaEvent_t made = nullptr;
    EXPECT_CUDA(cudaEventCreateWithFlags(&made, flags));
    events_.push_back(made);
    return made;
  }
  template <class T>
  T* device(std::size_t count) {
    void* p = nullptr;
    EXPECT_CUDA(cudaMalloc(&p, count * sizeof(T)));
    device_.push_back(p);
    return static_cast<T*>(p);
  }
  template <class T>
  T* pinned(std::size_t count) {
    void* p = nullptr;
    EXPECT_CUDA(cudaMallocHost(&p, count * sizeof(T)));
    pinned_.push_back(p);
    return static_cast<T*>(p);
  }

 private:
  std::vector<cudaStream_t> streams_;
  std::vector<cudaEvent_t> events_;
  std::vector<void*> device_, pinned_;
};

/// The orders under which a correct program must be correct.
inline std::vector<Settings> all_orders(int devices = 1) {
  std::vector<Settings> all = {settings_for(Order::kEager, 1, devices),
                               settings_for(Order::kLazy, 1, devices),
                               settings_for(Order::kContrary, 1, devices)};
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    all.push_back(settings_for(Order::kRandom, seed, devices));
  }
  return all;
}

/// A kernel of one thread: out[i] = value for all i.
inline void fill(cudaStream_t stream, float* out, std::size_t count, float value) {
  enqueue(stream, "fill", [=] {
    for (std::size_t i = 0; i < count; ++i) out[i] = value;
  });
}

}  // namespace varve::fakes
