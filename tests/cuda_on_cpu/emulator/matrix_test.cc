// ldmatrix and mma. The layout of mma's fragments is written here as CuTe writes it, as strides
// into the matrix by bits of the lane and of the value; matrix.cc has it from the PTX manual.
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "tests/cuda_on_cpu/emulator/test_kernel.h"

namespace varve::emulator {
namespace {

using Fragment = std::array<std::uint32_t, 4>;

constexpr unsigned kM = 16, kN = 8, kK = 16;

// Offsets in column-major matrices: A is (kM, kK), B is (kN, kK), C is (kM, kN).
unsigned in_a(unsigned lane, unsigned value) {
  return lane % 4 * 32 + lane / 4 + value % 2 * 16 + value / 2 % 2 * 8 + value / 4 * 128;
}
unsigned in_b(unsigned lane, unsigned value) {
  return lane % 4 * 16 + lane / 4 + value % 2 * 8 + value / 2 * 64;
}
unsigned in_c(unsigned lane, unsigned value) {
  return lane % 4 * 32 + lane / 4 + value % 2 * 16 + value / 2 * 8;
}

struct Operands {
  std::array<std::uint16_t, kM * kK> a{};
  std::array<std::uint16_t, kN * kK> b{};
  std::array<float, kM * kN> c{};
};

__global__ void multiply_bf16(const std::uint32_t* a, const std::uint32_t* b, float* d) {
  const unsigned lane = threadIdx.x;
  const std::uint32_t mine[4] = {a[lane * 4], a[lane * 4 + 1], a[lane * 4 + 2], a[lane * 4 + 3]};
  float sum[4] = {d[lane * 4], d[lane * 4 + 1], d[lane * 4 + 2], d[lane * 4 + 3]};
  gpu::mma_bf16(sum, mine, b[lane * 2], b[lane * 2 + 1]);
  for (unsigned i = 0; i < 4; ++i) d[lane * 4 + i] = sum[i];
}

__global__ void multiply_f16(const std::uint32_t* a, const std::uint32_t* b, float* d) {
  const unsigned lane = threadIdx.x;
  const std::uint32_t mine[4] = {a[lane * 4], a[lane * 4 + 1], a[lane * 4 + 2], a[lane * 4 + 3]};
  float sum[4] = {d[lane * 4], d[lane * 4 + 1], d[lane * 4 + 2], d[lane * 4 + 3]};
  gpu::mma_f16(sum, mine, b[lane * 2], b[lane * 2 + 1]);
  for (unsigned i = 0; i < 4; ++i) d[lane * 4 + i] = sum[i];
}

std::uint32_t pair(std::uint16_t lo, std::uint16_t hi) {
  return lo | static_cast<std::uint32_t>(hi) << 16U;
}

template <auto* Kernel>
void multiply(Operands& operands) {
  std::vector<std::uint32_t> a, b;
  std::vector<float> d;
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned v = 0; v < 8; v += 2) {
      a.push_back(pair(operands.a[in_a(lane, v)], operands.a[in_a(lane, v + 1)]));
    }
    for (unsigned v = 0; v < 4; v += 2) {
      b.push_back(pair(operands.b[in_b(lane, v)], operands.b[in_b(lane, v + 1)]));
    }
    for (unsigned v = 0; v < 4; ++v) d.push_back(operands.c[in_c(lane, v)]);
  }
  run_block<Kernel>(32, 0, a.data(), b.data(), d.data());
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned v = 0; v < 4; ++v) operands.c[in_c(lane, v)] = d[lane * 4 + v];
  }
}

std::uint16_t bf16(float x) {
  return static_cast<std::uint16_t>(gpu::pack_bf16(x, 0));
}
std::uint16_t f16(float x) {
  return static_cast<std::uint16_t>(gpu::pack_f16(x, 0));
}

// Small integers: every sum is exact, in whatever order.
template <auto* Kernel>
void expect_product(std::uint16_t (*encode)(float)) {
  Random random(5);
  const auto draw = [&] { return static_cast<float>(random.next() % 17) - 8.0F; };
  std::array<float, kM * kK> a;
  std::array<float, kN * kK> b;
  Operands operands;
  for (unsigned i = 0; i < a.size(); ++i) operands.a[i] = encode(a[i] = draw());
  for (unsigned i = 0; i < b.size(); ++i) operands.b[i] = encode(b[i] = draw());
  for (float& c : operands.c) c = draw();
  std::array<float, kM* kN> wanted = operands.c;
  for (unsigned m = 0; m < kM; ++m) {
    for (unsigned n = 0; n < kN; ++n) {
      for (unsigned k = 0; k < kK; ++k) wanted[m + kM * n] += a[m + kM * k] * b[n + kN * k];
    }
  }
  multiply<Kernel>(operands);
  EXPECT_EQ(operands.c, wanted);
}

TEST(Mma, IsTheProductInCutesLayout) {
  expect_product<multiply_bf16>(bf16);
  expect_product<multiply_f16>(f16);
}

// Every 16-bit pattern, as B's first row; A's first column is ones.
template <auto* Kernel, class Wanted>
void expect_every_number(std::uint16_t one, const Wanted& wanted) {
  for (unsigned first = 0; first < 0x10000; first += kN) {
    Operands operands;
    operands.a.fill(0);
    for (unsigned m = 0; m < kM; ++m) operands.a[m] = one;
    for (unsigned n = 0; n < kN; ++n) operands.b[n] = static_cast<std::uint16_t>(first + n);
    multiply<Kernel>(operands);
    for (unsigned n = 0; n < kN; ++n) {
      const float number = wanted(static_cast<std::uint16_t>(first + n));
      const float got = operands.c[3 + kM * n];
      ASSERT_TRUE(got == number || (std::isnan(got) && std::isnan(number))) << first + n;
    }
  }
}

TEST(Mma, ReadsEveryNumberAsNvidiasHeadersDo) {
  expect_every_number<multiply_f16>(
      f16(1), [](std::uint16_t bits) { return __half2float(std::bit_cast<__half>(bits)); });
  expect_every_number<multiply_bf16>(bf16(1), [](std::uint16_t bits) {
    return __bfloat162float(std::bit_cast<__nv_bfloat16>(bits));
  });
}

// A sum that is 1 only if the products are added one by one, in the order of k, in float.
TEST(Mma, AddsInFloatInTheOrderOfK) {
  Operands operands;
  operands.a.fill(bf16(1));
  operands.b.fill(0);
  operands.b[0] = bf16(0x1p30F);
  operands.b[kN * 1] = bf16(1);
  operands.b[kN * 2] = bf16(-0x1p30F);
  operands.b[kN * 3] = bf16(1);
  multiply<multiply_bf16>(operands);
  EXPECT_EQ(operands.c[0], 1.0F);
}

constexpr unsigned kRowBytes = 48;  // more than 16: rows need not lie side by side

template <bool Transposed>
__global__ void load(std::uint32_t* fragments, unsigned offset) {
  VARVE_DYNAMIC_SHARED(memory);
  const unsigned lane = threadIdx.x;
  // Row i of matrix m holds 100 m + 10 i + j.
  auto* const row = reinterpret_cast<std::uint16_t*>(memory + lane * kRowBytes);
  for (unsigned j = 0; j < 8; ++j) {
    row[j] = static_cast<std::uint16_t>(100 * (lane / 8) + 10 * (lane % 8) + j);
  }
  __syncwarp();
  std::uint32_t r[4];
  gpu::ldmatrix_x4<Transposed>(r, reinterpret_cast<unsigned char*>(row) + offset);
  for (unsigned m = 0; m < 4; ++m) fragments[lane * 4 + m] = r[m];
}

TEST(Ldmatrix, GivesEachLaneItsPairs) {
  std::array<std::uint32_t, 128> plain;
  std::array<std::uint32_t, 128> transposed;
  run_block<load<false>>(32, 32 * kRowBytes, plain.data(), 0);
  run_block<load<true>>(32, 32 * kRowBytes, transposed.data(), 0);
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned m = 0; m < 4; ++m) {
      const unsigned i = lane / 4;
      const unsigned j = 2 * (lane % 4);
      const unsigned at = 100 * m;
      EXPECT_EQ(plain[lane * 4 + m], (at + 10 * i + j) | (at + 10 * i + j + 1) << 16U);
      EXPECT_EQ(transposed[lane * 4 + m], (at + 10 * j + i) | (at + 10 * (j + 1) + i) << 16U);
    }
  }
}

TEST(Ldmatrix, ChecksItsAddresses) {
  std::array<std::uint32_t, 128> fragments;
  const auto error = [&](unsigned offset) {
    return kernel_error(
        [&] { run_block<load<false>>(32, 32 * kRowBytes, fragments.data(), offset); });
  };
  EXPECT_THAT(error(8),
              testing::ContainsRegex("load.*, block .*, thread .*, matrix_test.cc:[0-9]+: "
                                     "ldmatrix_x4 with a row that is not aligned"));
  EXPECT_THAT(error(48), testing::HasSubstr("outside of the block's shared memory"));
}

}  // namespace
}  // namespace varve::emulator
