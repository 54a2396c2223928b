// Grids, blocks, threads, barriers; and what the emulator says when they go wrong.
#include <set>
#include <thread>
#include <vector>

#include "common/error.h"
#include "tests/cuda_on_cpu/emulator/test_kernel.h"
#include "tests/support/sanitized.h"

namespace varve::emulator {
namespace {

struct Visit {
  uint3 block, thread;
  int times;
};

__device__ unsigned thread_in_grid() {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  return block * blockDim.x * blockDim.y * blockDim.z + thread;
}

__global__ void visit(Visit* visits) {
  Visit& mine = visits[thread_in_grid()];
  __syncthreads();
  mine = {blockIdx, threadIdx, mine.times + 1};
}

TEST(Machine, EveryThreadOfEveryBlockRunsOnce) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    std::vector<Visit> visits(3 * 2 * 2 * 64);
    gpu::launch<visit>({dim3(3, 2, 2), dim3(4, 8, 2)}, visits.data());
    std::set<std::vector<unsigned>> seen;
    for (const Visit& v : visits) {
      EXPECT_EQ(v.times, 1);
      seen.insert({v.block.x, v.block.y, v.block.z, v.thread.x, v.thread.y, v.thread.z});
    }
    EXPECT_EQ(seen.size(), visits.size());
  }
}

__global__ void note_order(unsigned* order, unsigned* next) {
  order[atomicAdd(next, 1U)] = thread_in_grid();
  __syncthreads();
  order[atomicAdd(next, 1U)] = thread_in_grid();
}

std::vector<unsigned> order_under(const char* text) {
  const WithSchedule schedule(text);
  std::vector<unsigned> order(2 * 2 * 64);
  unsigned next = 0;
  gpu::launch<note_order>({dim3(2), dim3(64)}, order.data(), &next);
  return order;
}

TEST(Machine, ForwardAndReverseAreWhatTheySay) {
  const std::vector<unsigned> forward = order_under("forward");
  const std::vector<unsigned> reverse = order_under("reverse");
  EXPECT_EQ(forward[0], 0U);
  EXPECT_EQ(forward[63], 63U);
  EXPECT_EQ(forward[64], 63U);  // the last one to come to the barrier goes on
  EXPECT_EQ(forward[65], 0U);
  EXPECT_EQ(reverse[0], 127U);
  EXPECT_EQ(reverse[63], 64U);
  EXPECT_EQ(reverse[128], 63U);
}

TEST(Machine, RandomOrdersDifferAndRepeat) {
  EXPECT_NE(order_under("random:1"), order_under("random:2"));
  EXPECT_NE(order_under("random:1"), order_under("forward"));
  EXPECT_EQ(order_under("random:1"), order_under("random:1"));
}

TEST(Machine, InARandomOrderTheLastToComeIsNotTheFirstToGoOn) {
  bool another = false;
  for (const char* text : {"random:1", "random:2", "random:3"}) {
    const std::vector<unsigned> order = order_under(text);
    another |= order[64] != order[63];
  }
  EXPECT_TRUE(another);
}

__global__ void add_arguments(int* result, std::int64_t a, double b, const int* none) {
  if (threadIdx.x == 0) *result = static_cast<int>(a) + static_cast<int>(b) + (none == nullptr);
}

TEST(Launch, ConvertsArgumentsToTheKernelsTypes) {
  int result = 0;
  run_block<add_arguments>(32, 0, &result, 40, 1.5F, nullptr);
  EXPECT_EQ(result, 42);
}

TEST(Launch, WhatNoGpuCouldStartIsADeviceError) {
  int* const none = nullptr;
  const auto launch = [&](dim3 grid, dim3 block, unsigned shared) {
    gpu::launch<add_arguments>({grid, block, shared}, none, 0, 0, none);
  };
  using testing::HasSubstr;
  using testing::ThrowsMessage;
  EXPECT_THAT([&] { launch(dim3(1), dim3(1056), 0); },
              ThrowsMessage<DeviceError>(HasSubstr("add_arguments cannot be launched: a block of "
                                                   "(1056,1,1) threads")));
  EXPECT_THROW(launch(dim3(1), dim3(4, 1, 128), 0), DeviceError);
  EXPECT_THROW(launch(dim3(1), dim3(0), 0), DeviceError);
  EXPECT_THROW(launch(dim3(0), dim3(32), 0), DeviceError);
  EXPECT_THROW(launch(dim3(1, 65536), dim3(32), 0), DeviceError);
  EXPECT_THROW(launch(dim3(1), dim3(32), 163 * 1024 + 1), DeviceError);
}

TEST(Launch, BlocksAreOfWholeWarps) {
  int result = 0;
  EXPECT_THAT(kernel_error([&] { run_block<add_arguments>(48, 0, &result, 0, 0, nullptr); }),
              testing::HasSubstr("(48,1,1) threads is not of whole warps"));
}

__global__ void wait_unless_first() {
  if (threadIdx.x > 0) __syncthreads();
}

TEST(Barrier, AThreadThatReturnedIsMissed) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    EXPECT_THAT(kernel_error([] { run_block<wait_unless_first>(64, 0); }),
                testing::ContainsRegex("kernel .*wait_unless_first, block \\(0,0,0\\): deadlock; "
                                       "1 thread returned from the kernel, the first "
                                       "\\(0,0,0\\); 63 threads at __syncthreads "
                                       "machine_test.cc:[0-9]+, the first \\(1,0,0\\)"));
  }
}

__global__ void wait_if_first() {
  if (threadIdx.x == 0) __syncthreads();
}

TEST(Barrier, OneThreadAloneIsADeadlockToo) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    EXPECT_THAT(kernel_error([] { run_block<wait_if_first>(64, 0); }),
                testing::HasSubstr("deadlock; 1 thread at __syncthreads"));
  }
}

__global__ void wait_at_two_lines() {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(Barrier, TwoLinesAreTwoBarriers) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    EXPECT_THAT(kernel_error([] { run_block<wait_at_two_lines>(64, 0); }),
                testing::ContainsRegex("thread \\([0-9]+,0,0\\), machine_test.cc:[0-9]+: divergent "
                                       "__syncthreads: other threads wait at machine_test.cc:"));
  }
}

// After one that left some threads waiting and others ready; and with fewer threads than before.
TEST(Machine, GoesOnAfterAnError) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    EXPECT_NE(kernel_error([] { run_block<wait_unless_first>(64, 0); }), "");
    EXPECT_NE(kernel_error([] { run_block<wait_at_two_lines>(1024, 0); }), "");
    std::vector<Visit> visits(128);
    gpu::launch<visit>({dim3(2), dim3(64)}, visits.data());
    for (const Visit& v : visits) EXPECT_EQ(v.times, 1);
  }
}

// (threads, times): what a thread wrote before a barrier is read by its neighbour after it.
__global__ void pass_on(int* values) {
  VARVE_DYNAMIC_SHARED(memory);
  int* const shared = reinterpret_cast<int*>(memory);
  const unsigned thread = threadIdx.x;
  int value = values[thread];
  for (int i = 0; i < 10; ++i) {
    shared[thread] = value;
    __syncthreads();
    value = shared[(thread + 1) % blockDim.x];
    __syncthreads();
  }
  values[thread] = value;
}

TEST(Barrier, SeparatesWritesFromReads) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    std::vector<int> values(1024);
    for (int i = 0; i < 1024; ++i) values[static_cast<std::size_t>(i)] = i;
    run_block<pass_on>(1024, 1024 * sizeof(int), values.data());
    for (int i = 0; i < 1024; ++i) {
      EXPECT_EQ(values[static_cast<std::size_t>(i)], (i + 10) % 1024);
    }
  }
}

// Ranks may be threads of one process, and a failing launch must not harm another's.
TEST(Machine, HostThreadsTakeTurns) {
  const auto launch_often = [](int* sum) {
    for (int i = 0; i < 50; ++i) {
      std::vector<int> values(64, i);
      run_block<pass_on>(64, 64 * sizeof(int), values.data());
      *sum += values[0];
      EXPECT_NE(kernel_error([] { run_block<wait_unless_first>(64, 0); }), "");
    }
  };
  int sums[2] = {};
  std::thread other(launch_often, &sums[0]);
  launch_often(&sums[1]);
  other.join();
  EXPECT_THAT(sums, testing::Each(49 * 50 / 2));
}

__global__ void look_at_shared(bool* undefined, std::uintptr_t* address) {
  VARVE_DYNAMIC_SHARED(memory);
  float* const shared = reinterpret_cast<float*>(memory);
  if (!std::isnan(shared[threadIdx.x])) *undefined = false;
  *address = reinterpret_cast<std::uintptr_t>(memory);
  shared[threadIdx.x] = 0;
}

TEST(SharedMemory, IsUndefinedInEveryBlockAndAligned) {
  bool undefined = true;
  std::uintptr_t address = 1;
  gpu::launch<look_at_shared>({dim3(3), dim3(32), 32 * sizeof(float)}, &undefined, &address);
  EXPECT_TRUE(undefined);
  EXPECT_EQ(address % 128, 0U);
}

__global__ void write_at(int offset) {
  VARVE_DYNAMIC_SHARED(memory);
  if (threadIdx.x == 7 && blockIdx.x == 2) memory[offset] = 1;
}

TEST(SharedMemory, WritesBesideItAreFoundAtTheEndOfTheBlock) {
  if (kSanitized) GTEST_SKIP() << "the address sanitizer finds them first";
  const auto error = [](int offset) {
    return kernel_error([offset] { gpu::launch<write_at>({dim3(3), dim3(32), 10}, offset); });
  };
  EXPECT_EQ(error(9), "");
  EXPECT_THAT(error(10), testing::ContainsRegex("write_at, block \\(2,0,0\\): some thread wrote "
                                                "outside of the block's 10 bytes"));
  EXPECT_NE(error(-1), "");
}

}  // namespace
}  // namespace varve::emulator
