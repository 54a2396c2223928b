// Shuffles, votes, matrices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cuda_on_cpu/ptx/rounding.h"
#include "tests/cuda_on_cpu/ptx/snippet.h"

namespace varve::ptx {
namespace {

using testing::HasSubstr;

// The word that each lane has in %r1 after these lines.
std::vector<std::uint32_t> of_lanes(const std::string& lines) {
  std::vector<std::uint32_t> out(32);
  run_text(kernel_around(lines + "\nmul.wide.u32 %rd2, %r0, 4;\nadd.s64 %rd2, %rd2, %rd0;\n"
                                 "st.global.u32 [%rd2], %r1;"),
           out.data(), nullptr);
  return out;
}

TEST(Shuffle, TakesFromTheLaneThatItNames) {
  const auto xored = of_lanes("shfl.sync.bfly.b32 %r1, %r0, 5, 31, -1;");
  const auto down = of_lanes("shfl.sync.down.b32 %r1|%p1, %r0, 3, 31, -1;\n@!%p1 mov.u32 %r1, 99;");
  const auto up = of_lanes("shfl.sync.up.b32 %r1, %r0, 3, 0, -1;");
  const auto index = of_lanes("mul.lo.u32 %r2, %r0, 7;\nshfl.sync.idx.b32 %r1, %r0, %r2, 31, -1;");
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(xored[lane], lane ^ 5U);
    EXPECT_EQ(down[lane], lane + 3 < 32 ? lane + 3 : 99);
    EXPECT_EQ(up[lane], lane >= 3 ? lane - 3 : lane);
    EXPECT_EQ(index[lane], lane * 7 % 32);
  }
}

// Segments of 8 lanes, as __shfl_*_sync(..., 8) has them.
TEST(Shuffle, StaysInItsSegment) {
  const auto down = of_lanes("shfl.sync.down.b32 %r1, %r0, 3, 0x181f, -1;");
  const auto up = of_lanes("shfl.sync.up.b32 %r1, %r0, 3, 0x1800, -1;");
  const auto index = of_lanes("shfl.sync.idx.b32 %r1, %r0, 10, 0x181f, -1;");
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(down[lane], lane % 8 + 3 < 8 ? lane + 3 : lane);
    EXPECT_EQ(up[lane], lane % 8 >= 3 ? lane - 3 : lane);
    EXPECT_EQ(index[lane], lane / 8 * 8 + 2);
  }
}

TEST(Shuffle, MayNotReadOutsideOfItsMask) {
  EXPECT_THAT(error_of(kernel_around("setp.lt.u32 %p1, %r0, 16;\n"
                                     "@%p1 shfl.sync.bfly.b32 %r1, %r0, 16, 31, 0xffff;")),
              HasSubstr("reads lane 16, which the mask lacks"));
  EXPECT_THAT(error_of(kernel_around("shfl.sync.bfly.b32 %r1, %r0, 1, 31, 0xffff;")),
              HasSubstr("the mask lacks the lane itself"));
}

TEST(Vote, OverTheMask) {
  const std::string odd = "and.b32 %r2, %r0, 1;\nsetp.eq.u32 %p1, %r2, 1;\n";
  EXPECT_EQ(of_lanes(odd + "vote.sync.ballot.b32 %r1, %p1, -1;")[7], 0xaaaaaaaaU);
  EXPECT_EQ(of_lanes(odd + "vote.sync.ballot.b32 %r1, !%p1, -1;")[7], 0x55555555U);
  EXPECT_EQ(of_lanes(odd + "vote.sync.any.pred %p2, %p1, -1;\nselp.u32 %r1, 1, 0, %p2;")[0], 1U);
  EXPECT_EQ(of_lanes(odd + "vote.sync.all.pred %p2, %p1, -1;\nselp.u32 %r1, 1, 0, %p2;")[1], 0U);
  EXPECT_EQ(of_lanes(odd + "vote.sync.uni.pred %p2, %p1, -1;\nselp.u32 %r1, 1, 0, %p2;")[1], 0U);
  EXPECT_EQ(of_lanes("redux.sync.add.s32 %r1, %r0, -1;")[3], 496U);
  EXPECT_EQ(of_lanes("redux.sync.max.u32 %r1, %r0, -1;")[3], 31U);
}

// Row r of matrix m holds 100 m + 8 r + column; kernels get it as a global array.
std::vector<std::uint16_t> four_matrices() {
  std::vector<std::uint16_t> all;
  for (int m = 0; m < 4; ++m) {
    for (int i = 0; i < 64; ++i) all.push_back(static_cast<std::uint16_t>(100 * m + i));
  }
  return all;
}

std::vector<std::uint32_t> loaded_matrices(const std::string& transposed) {
  const std::vector<std::uint16_t> in = four_matrices();
  std::vector<std::uint32_t> out(128);
  const std::string text = kernel_around(
      "mov.u32 %r1, memory;\nshl.b32 %r2, %r0, 4;\nadd.u32 %r1, %r1, %r2;\n"
      "mul.wide.u32 %rd2, %r0, 16;\nadd.s64 %rd3, %rd1, %rd2;\n"
      "ld.global.v4.u32 {%r3, %r4, %r5, %r6}, [%rd3];\nst.shared.v4.u32 [%r1], {%r3, %r4, %r5, "
      "%r6};\n"
      "bar.warp.sync -1;\n"
      "ldmatrix.sync.aligned.m8n8.x4" +
          transposed +
          ".shared.b16 {%r3, %r4, %r5, %r6}, [%r1];\n"
          "add.s64 %rd3, %rd0, %rd2;\nst.global.v4.u32 [%rd3], {%r3, %r4, %r5, %r6};",
      ".extern .shared .align 16 .b8 memory[];\n");
  run_text(text, out.data(), in.data(), {{1, 1, 1}, {32, 1, 1}, 512});
  return out;
}

TEST(LoadMatrix, GivesEachLaneItsPairs) {
  const auto plain = loaded_matrices("");
  const auto transposed = loaded_matrices(".trans");
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned m = 0; m < 4; ++m) {
      const unsigned row = lane / 4;
      const unsigned column = lane % 4 * 2;
      const unsigned base = 100 * m;
      EXPECT_EQ(plain[4 * lane + m], (base + 8 * row + column) | (base + 8 * row + column + 1)
                                                                     << 16U);
      EXPECT_EQ(transposed[4 * lane + m],
                (base + 8 * column + row) | (base + 8 * (column + 1) + row) << 16U);
    }
  }
}

// A (16 x 16), B (16 x 8), C (16 x 8) in the fragments that the PTX manual draws.
struct Fragments {
  std::uint32_t a[4], b[2];
  float c[4];
};

template <class T>
std::vector<float> multiplied(const std::string& type, double scale_of_b) {
  const auto element = [](double x) { return std::uint32_t{narrow<T>(x).bits}; };
  const auto a = [&](unsigned row, unsigned k) { return element(row * 0.25 - k * 0.5 + 1); };
  const auto b = [&](unsigned k, unsigned n) { return element((k * 0.125 + n) * scale_of_b); };
  std::vector<Fragments> in(32);
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned g = lane / 4;
    const unsigned t = lane % 4 * 2;
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = g + i % 2 * 8;
      const unsigned k = t + i / 2 * 8;
      in[lane].a[i] = a(row, k) | a(row, k + 1) << 16U;
      in[lane].c[i] = static_cast<float>((g + i / 2 * 8) * 100 + t + i % 2);
    }
    for (unsigned i = 0; i < 2; ++i) {
      in[lane].b[i] = b(t + i * 8, g) | b(t + i * 8 + 1, g) << 16U;
    }
  }
  std::vector<float> out(128);
  run_text(kernel_around("mul.wide.u32 %rd2, %r0, 40;\nadd.s64 %rd3, %rd1, %rd2;\n"
                         "ld.global.b32 %r10, [%rd3];\nld.global.b32 %r11, [%rd3+4];\n"
                         "ld.global.b32 %r12, [%rd3+8];\nld.global.b32 %r13, [%rd3+12];\n"
                         "ld.global.b32 %r14, [%rd3+16];\nld.global.b32 %r15, [%rd3+20];\n"
                         "ld.global.b32 %r16, [%rd3+24];\nld.global.b32 %r17, [%rd3+28];\n"
                         "ld.global.b32 %r18, [%rd3+32];\nld.global.b32 %r19, [%rd3+36];\n"
                         "mma.sync.aligned.m16n8k16.row.col.f32." +
                         type + "." + type +
                         ".f32\n"
                         "{%r16, %r17, %r18, %r19}, {%r10, %r11, %r12, %r13}, {%r14, %r15},\n"
                         "{%r16, %r17, %r18, %r19};\n"
                         "mul.wide.u32 %rd2, %r0, 16;\nadd.s64 %rd3, %rd0, %rd2;\n"
                         "st.global.v4.b32 [%rd3], {%r16, %r17, %r18, %r19};"),
           out.data(), in.data());
  return out;
}

template <class T>
void expect_product(const std::string& type) {
  const std::vector<float> out = multiplied<T>(type, 1);
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = lane / 4 + i / 2 * 8;
      const unsigned column = lane % 4 * 2 + i % 2;
      double wanted = row * 100.0 + column;
      for (unsigned k = 0; k < 16; ++k) {
        wanted += (row * 0.25 - k * 0.5 + 1) * (k * 0.125 + column);
      }
      EXPECT_EQ(out[4 * lane + i], wanted) << "row " << row << " column " << column;
    }
  }
}

TEST(Multiply, Bf16AsTheManualDrawsIt) {
  expect_product<Bf16>("bf16");
}
TEST(Multiply, F16AsTheManualDrawsIt) {
  expect_product<Half>("f16");
}

TEST(Multiply, NeedsTheWholeWarp) {
  EXPECT_THAT(error_of(kernel_around("setp.lt.u32 %p1, %r0, 16;\n@%p1 ret;\n"
                                     "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%r2];")),
              HasSubstr("the mask names lanes that have ended"));
}

}  // namespace
}  // namespace varve::ptx
