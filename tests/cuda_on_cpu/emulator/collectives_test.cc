// Shuffles and votes against their definition in the CUDA guide, for every lane.
#include <array>
#include <cstdint>

#include "tests/cuda_on_cpu/emulator/test_kernel.h"

namespace varve::emulator {
namespace {

enum class Shuffle { kAny, kXor, kUp, kDown };

template <class T>
__global__ void shuffle_all(T* values, Shuffle kind, int amount, int width) {
  T& mine = values[threadIdx.x];
  switch (kind) {
    case Shuffle::kAny:
      mine = __shfl_sync(~0U, mine, amount, width);
      break;
    case Shuffle::kXor:
      mine = __shfl_xor_sync(~0U, mine, amount, width);
      break;
    case Shuffle::kUp:
      mine = __shfl_up_sync(~0U, mine, static_cast<unsigned>(amount), width);
      break;
    case Shuffle::kDown:
      mine = __shfl_down_sync(~0U, mine, static_cast<unsigned>(amount), width);
      break;
  }
}

// Groups of `width` lanes; who asks for a lane outside of its group gets its own value, except that
// xor may ask an earlier group.
int expected_lane(Shuffle kind, int lane, int amount, int width) {
  const int group = lane / width;
  const auto in_group = [&](int other) { return other >= 0 && other / width == group; };
  switch (kind) {
    case Shuffle::kAny:
      return group * width + amount % width;
    case Shuffle::kXor:
      return (lane ^ amount) / width <= group ? lane ^ amount : lane;
    case Shuffle::kUp:
      return in_group(lane - amount) ? lane - amount : lane;
    case Shuffle::kDown:
      return in_group(lane + amount) ? lane + amount : lane;
  }
  return -1;
}

template <class T>
class ShuffleTest : public testing::Test {};
using ShuffledTypes = testing::Types<int, unsigned, float, double, long long, unsigned long>;
TYPED_TEST_SUITE(ShuffleTest, ShuffledTypes);

TYPED_TEST(ShuffleTest, EveryLaneGetsWhatTheGuideSays) {
  for (const Shuffle kind : {Shuffle::kAny, Shuffle::kXor, Shuffle::kUp, Shuffle::kDown}) {
    for (const int width : {1, 2, 8, 32}) {
      for (const int amount : {0, 1, 3, 8, 17, 31}) {
        std::array<TypeParam, 64> values;
        const auto value_of = [](int thread) {
          return static_cast<TypeParam>(sizeof(TypeParam) == 8 ? 1e9 * thread : 1000 - thread);
        };
        for (int i = 0; i < 64; ++i) values[static_cast<std::size_t>(i)] = value_of(i);
        run_block<shuffle_all<TypeParam>>(64, 0, values.data(), kind, amount, width);
        for (int i = 0; i < 64; ++i) {
          const int wanted = i / 32 * 32 + expected_lane(kind, i % 32, amount, width);
          ASSERT_EQ(values[static_cast<std::size_t>(i)], value_of(wanted))
              << "kind " << static_cast<int>(kind) << " amount " << amount << " width " << width
              << " thread " << i;
        }
      }
    }
  }
}

__global__ void vote(unsigned votes, unsigned* ballots, int* any, int* all) {
  const int mine = static_cast<int>(votes >> threadIdx.x % 32 & 1U);
  ballots[threadIdx.x] = __ballot_sync(~0U, mine);
  any[threadIdx.x] = __any_sync(~0U, mine);
  all[threadIdx.x] = __all_sync(~0U, mine);
}

TEST(Votes, EveryLaneGetsAll) {
  for (const unsigned votes : {0U, ~0U, 0x80000001U, 0x12345678U}) {
    std::array<unsigned, 32> ballots{};
    std::array<int, 32> any{};
    std::array<int, 32> all{};
    run_block<vote>(32, 0, votes, ballots.data(), any.data(), all.data());
    EXPECT_THAT(ballots, testing::Each(votes));
    EXPECT_THAT(any, testing::Each(votes != 0));
    EXPECT_THAT(all, testing::Each(votes == ~0U));
  }
}

// Each warp writes what the next lane reads.
__global__ void pass_within_warp(int* out) {
  VARVE_DYNAMIC_SHARED(memory);
  int* const shared = reinterpret_cast<int*>(memory) + threadIdx.x / 32 * 32;
  const unsigned lane = threadIdx.x % 32;
  shared[lane] = static_cast<int>(threadIdx.x);
  __syncwarp();
  out[threadIdx.x] = shared[(lane + 1) % 32];
}

TEST(Syncwarp, SeparatesWritesFromReads) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    std::array<int, 64> out{};
    run_block<pass_within_warp>(64, 64 * sizeof(int), out.data());
    for (int i = 0; i < 64; ++i) {
      EXPECT_EQ(out[static_cast<std::size_t>(i)], i / 32 * 32 + (i + 1) % 32);
    }
  }
}

__global__ void shuffle_with_mask(unsigned mask, int amount, int width) {
  __shfl_xor_sync(mask, 1.0F, amount, width);
}

TEST(Shuffle, WhatAHouseRuleOrTheGuideForbidsIsReported) {
  const auto error = [](unsigned mask, int amount, int width) {
    return kernel_error([=] { run_block<shuffle_with_mask>(32, 0, mask, amount, width); });
  };
  EXPECT_EQ(error(~0U, 31, 32), "");
  EXPECT_THAT(error(0xffffU, 1, 32),
              testing::HasSubstr("__shfl_xor_sync with the mask 0xffff: it must be full"));
  EXPECT_THAT(error(~0U, 32, 32), testing::HasSubstr("by 32"));
  EXPECT_THAT(error(~0U, 1, 12), testing::HasSubstr("a width of 12"));
}

__global__ void meet_at_two_words() {
  if (threadIdx.x % 32 < 16) {
    __syncwarp();
  } else {
    __ballot_sync(~0U, 1);
  }
}

__global__ void meet_at_two_lines() {
  if (threadIdx.x % 32 < 16) {
    __shfl_xor_sync(~0U, 1, 1);
  } else {
    __shfl_xor_sync(~0U, 1, 1);
  }
}

__global__ void lose_lanes() {
  if (threadIdx.x >= 60) return;
  __syncwarp();
}

TEST(Collectives, LanesThatDoNotMeetAreReported) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    EXPECT_THAT(kernel_error([] { run_block<meet_at_two_words>(64, 0); }),
                testing::ContainsRegex(
                    "meet_at_two_words, block .*, thread .*, collectives_test.cc:[0-9]+: "
                    "divergent warp: this lane is at .*, others wait at .* "
                    "collectives_test.cc:[0-9]+"));
    EXPECT_THAT(kernel_error([] { run_block<meet_at_two_lines>(64, 0); }),
                testing::ContainsRegex("meet_at_two_lines, .*: divergent warp: this lane is at "
                                       "__shfl_xor_sync, others wait at __shfl_xor_sync"));
    EXPECT_THAT(kernel_error([] { run_block<lose_lanes>(64, 0); }),
                testing::ContainsRegex("deadlock; 36 threads returned from the kernel, .*; 28 "
                                       "threads at __syncwarp collectives_test.cc:[0-9]+"));
  }
}

}  // namespace
}  // namespace varve::emulator
