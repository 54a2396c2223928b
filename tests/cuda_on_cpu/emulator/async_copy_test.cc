// When the bytes of cp.async arrive, which of them, and what is said when its rules are broken.
#include <array>
#include <cstdint>

#include "tests/cuda_on_cpu/emulator/test_kernel.h"

namespace varve::emulator {
namespace {

struct alignas(16) Line {
  std::array<std::uint8_t, 16> bytes;
  friend bool operator==(const Line&, const Line&) = default;
};

constexpr Line kUndefined{
    {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};

Line line_of(std::uint8_t byte) {
  Line line;
  line.bytes.fill(byte);
  return line;
}

constexpr int kCopies = 3;
constexpr int kStages = 4;  // after the issues, and after waits for all but 2, 1 and 0 groups

// seen (kStages, kCopies): what thread 0 sees. The last copy belongs to no group.
__global__ void watch(const Line* source, Line* seen) {
  VARVE_DYNAMIC_SHARED(memory);
  Line* const shared = reinterpret_cast<Line*>(memory);
  if (threadIdx.x > 0) return;
  for (int i = 0; i < kCopies; ++i) shared[i] = Line{};
  const auto look = [&](int stage) {
    for (int i = 0; i < kCopies; ++i) seen[stage * kCopies + i] = shared[i];
  };
  for (int i = 0; i < kCopies; ++i) {
    gpu::cp_async16(&shared[i], &source[i]);
    gpu::cp_async_commit();
  }
  look(0);
  gpu::cp_async_wait<2>();
  look(1);
  gpu::cp_async_wait<1>();
  look(2);
  gpu::cp_async_wait<0>();
  look(3);
}

std::array<Line, kStages * kCopies> watch_under(const char* text) {
  const WithSchedule schedule(text);
  const std::array<Line, kCopies> source{line_of(1), line_of(2), line_of(3)};
  std::array<Line, kStages * kCopies> seen{};
  run_block<watch>(32, kCopies * sizeof(Line), source.data(), seen.data());
  return seen;
}

TEST(CpAsync, LateCopiesArriveAtTheWaitForTheirGroup) {
  const auto seen = watch_under("forward,late");
  for (int stage = 0; stage < kStages; ++stage) {
    for (int i = 0; i < kCopies; ++i) {
      const Line wanted = i < stage ? line_of(static_cast<std::uint8_t>(i + 1)) : kUndefined;
      EXPECT_EQ(seen[static_cast<std::size_t>(stage * kCopies + i)], wanted) << stage << " " << i;
    }
  }
}

TEST(CpAsync, EarlyCopiesArriveAtOnce) {
  const auto seen = watch_under("forward,early");
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], line_of(static_cast<std::uint8_t>(i % kCopies + 1)));
  }
}

__global__ void copy_part(const std::uint8_t* source, Line* out, unsigned filled) {
  VARVE_DYNAMIC_SHARED(memory);
  Line* const shared = reinterpret_cast<Line*>(memory);
  gpu::cp_async16(&shared[threadIdx.x], source, filled);
  gpu::cp_async_commit();
  gpu::cp_async_wait<0>();
  out[threadIdx.x] = shared[threadIdx.x];
}

// Of an array of 5 bytes, so that the address sanitizer sees whether the rest is read.
TEST(CpAsync, WhatIsNotFilledIsZeroAndNotRead) {
  const auto source = std::make_unique<std::uint8_t[]>(5);
  for (std::uint8_t i = 0; i < 5; ++i) source[i] = static_cast<std::uint8_t>(i + 1);
  for (const char* text : {"forward,early", "forward,late"}) {
    const WithSchedule schedule(text);
    for (const unsigned filled : {0U, 1U, 5U}) {
      std::array<Line, 32> out{};
      run_block<copy_part>(32, 32 * sizeof(Line), source.get(), out.data(), filled);
      Line wanted{};
      for (unsigned i = 0; i < filled; ++i) wanted.bytes[i] = source[i];
      EXPECT_THAT(out, testing::Each(wanted));
    }
  }
}

struct Mistake {
  unsigned to = 0, from = 0, filled = 16;  // offsets in bytes
  bool wait = true;
};

__global__ void copy_wrongly(const Line* source, Mistake mistake) {
  VARVE_DYNAMIC_SHARED(memory);
  if (threadIdx.x == 5) {
    gpu::cp_async16(memory + mistake.to, reinterpret_cast<const char*>(source) + mistake.from,
                    mistake.filled);
  }
  gpu::cp_async_commit();
  if (mistake.wait) gpu::cp_async_wait<0>();
}

TEST(CpAsync, ItsRulesAreChecked) {
  const std::array<Line, 2> source{};
  const auto error = [&](Mistake mistake) {
    return kernel_error([&] { run_block<copy_wrongly>(32, 32, source.data(), mistake); });
  };
  EXPECT_EQ(error({}), "");
  EXPECT_THAT(error({.to = 8}),
              testing::ContainsRegex("copy_wrongly, block \\(0,0,0\\), thread \\(5,0,0\\), "
                                     "async_copy_test.cc:[0-9]+: cp_async16 .* not aligned"));
  EXPECT_THAT(error({.from = 4}), testing::HasSubstr("not aligned to 16 bytes"));
  EXPECT_THAT(error({.to = 32}), testing::HasSubstr("outside of the block's shared memory"));
  EXPECT_THAT(error({.filled = 17}), testing::HasSubstr("cp_async16 of 17 bytes"));
  EXPECT_THAT(error({.wait = false}),
              testing::HasSubstr("thread (5,0,0): returned with copies of cp_async16 under way"));
}

}  // namespace
}  // namespace varve::emulator
