// Loads, stores, atomics, copies: what they do, and what is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/cuda_on_cpu/ptx/snippet.h"

namespace varve::ptx {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kMemory = ".extern .shared .align 16 .b8 memory[];\n";
constexpr Threads kWithShared{{1, 1, 1}, {32, 1, 1}, 256};

TEST(Load, ExtendsToTheRegister) {
  const std::uint64_t in = 0x80f0;
  std::uint64_t out[3] = {};
  run_text(kernel_around("ld.global.s8 %r1, [%rd1];\nld.global.u8 %r2, [%rd1+1];\n"
                         "ld.global.s16 %rd2, [%rd1];\nst.global.u32 [%rd0], %r1;\n"
                         "st.global.u32 [%rd0+8], %r2;\nst.global.u64 [%rd0+16], %rd2;"),
           out, &in);
  EXPECT_EQ(out[0], 0xfffffff0U);
  EXPECT_EQ(out[1], 0x80U);
  EXPECT_EQ(out[2], 0xffffffffffff80f0U);
}

TEST(Load, VectorsInOrder) {
  alignas(16) const std::uint32_t in[4] = {1, 2, 3, 4};
  alignas(16) std::uint32_t out[4] = {};
  run_text(kernel_around("ld.global.nc.v4.u32 {%r1, %r2, %r3, %r4}, [%rd1];\n"
                         "st.global.v2.b32 [%rd0+8], {%r1, %r2};\n"
                         "mov.b64 %rd2, {%r3, %r4};\nst.global.b64 [%rd0], %rd2;"),
           out, in);
  EXPECT_THAT(out, testing::ElementsAre(3, 4, 1, 2));
}

TEST(Move, TakesApartAndPutsTogether) {
  const std::uint64_t in = 0x4444333322221111U;
  std::uint64_t out = 0;
  run_text(kernel_around("ld.global.u64 %rd2, [%rd1];\nmov.b64 {%h1, %h2, %h3, %h4}, %rd2;\n"
                         "mov.b64 {_, %r1}, %rd2;\nmov.b32 %r2, {%h2, %h1};\n"
                         "mov.b64 %rd3, {%r1, %r2};\nst.global.u64 [%rd0], %rd3;"),
           &out, &in);
  EXPECT_EQ(out, 0x1111222244443333U);
}

TEST(Spaces, ConstantsVariablesLocalsAndParameters) {
  std::uint32_t out[3] = {};
  run_text(kernel_around(".local .align 8 .b8 depot[16];\n"
                         "ld.const.u32 %r1, [table+4];\nst.global.u32 [%rd0], %r1;\n"
                         "mov.u64 %rd2, pair;\nld.global.u32 %r2, [%rd2+4];\n"
                         "st.global.u32 [%rd0+4], %r2;\n"
                         "mov.u64 %rd3, depot;\ncvta.local.u64 %rd4, %rd3;\n"
                         "st.u32 [%rd4+8], %r2;\nld.local.u32 %r3, [depot+8];\n"
                         "st.global.u32 [%rd0+8], %r3;",
                         ".const .align 4 .u32 table[2] = {5, 6};\n"
                         ".global .align 4 .u32 pair[2] = {7, 8};\n"),
           out, nullptr);
  EXPECT_THAT(out, testing::ElementsAre(6, 8, 8));
}

TEST(Spaces, GenericAddressesReachSharedMemory) {
  std::uint32_t out = 0;
  run_text(kernel_around("mov.u64 %rd2, memory;\ncvta.shared.u64 %rd3, %rd2;\n"
                         "st.u32 [%rd3+16], 9;\nld.shared.u32 %r1, [memory+16];\n"
                         "cvta.to.shared.u64 %rd4, %rd3;\ncvt.u32.u64 %r2, %rd4;\n"
                         "ld.shared.u32 %r3, [%r2+16];\nadd.u32 %r1, %r1, %r3;\n"
                         "st.global.u32 [%rd0], %r1;",
                         kMemory),
           &out, nullptr, kWithShared);
  EXPECT_EQ(out, 18U);
}

TEST(Spaces, DynamicSharedMemoryBeginsBehindTheStatic) {
  std::uint32_t out = 0;
  run_text(kernel_around("st.shared.u32 [first], 3;\nst.shared.u32 [memory], 4;\n"
                         "mov.u32 %r1, memory;\nld.shared.u32 %r2, [first];\n"
                         "mad.lo.u32 %r1, %r2, 1000, %r1;\nst.global.u32 [%rd0], %r1;",
                         ".shared .align 4 .b8 unused[64];\n.shared .align 4 .b8 first[20];\n"
                         ".extern .shared .align 32 .b8 memory[];\n"),
           &out, nullptr, kWithShared);
  EXPECT_EQ(out, 3032U);
}

TEST(Bounds, OfSharedMemoryAreExact) {
  EXPECT_THAT(error_of(kernel_around("st.shared.u32 [memory+252], 1;", kMemory), kWithShared),
              IsEmpty());
  EXPECT_THAT(
      error_of(kernel_around("st.shared.u32 [memory+256], 1;", kMemory), kWithShared),
      ContainsRegex("shared memory out of bounds: 4 byte.s. at 256 of 256: thread .0,0,0. at "
                    "snippet.ptx:[0-9]+ 'st.shared.u32"));
  EXPECT_THAT(error_of(kernel_around("ld.shared.u32 %r1, [memory+-4];", kMemory), kWithShared),
              HasSubstr("shared memory out of bounds: 4 byte(s) at -4 of 256"));
  EXPECT_THAT(error_of(kernel_around("mov.u64 %rd2, memory;\ncvta.shared.u64 %rd3, %rd2;\n"
                                     "ld.u32 %r1, [%rd3+256];",
                                     kMemory),
                       kWithShared),
              HasSubstr("shared memory out of bounds"));
}

const void* allowed_begin = nullptr;

bool allowed(const void* begin, std::size_t bytes) {
  const auto offset =
      reinterpret_cast<std::uintptr_t>(begin) - reinterpret_cast<std::uintptr_t>(allowed_begin);
  return offset + bytes <= 64;
}

TEST(Bounds, OfGlobalMemoryAreAskedFor) {
  Options options;
  options.valid = allowed;
  std::uint32_t memory[32] = {};
  allowed_begin = memory;
  run_text(kernel_around("st.global.u32 [%rd0+60], 1;"), memory, memory, {}, options);
  EXPECT_EQ(memory[15], 1U);
  EXPECT_THROW(run_text(kernel_around("st.global.u32 [%rd0+64], 1;"), memory, memory, {}, options),
               KernelError);
  EXPECT_EQ(memory[16], 0U);
  EXPECT_THAT(error_of(kernel_around("mov.u64 %rd2, 0;\nld.global.u32 %r1, [%rd2+8];")),
              HasSubstr("global memory out of bounds: 4 byte(s) at 0x8"));
}

TEST(Alignment, IsOfTheWholeVector) {
  EXPECT_THAT(error_of(kernel_around("ld.global.v2.u32 {%r1, %r2}, [%rd1+4];")),
              HasSubstr("not a multiple of 8"));
  EXPECT_THAT(error_of(kernel_around("ld.global.u16 %r1, [%rd1+1];")),
              HasSubstr("misaligned access"));
}

TEST(Atomics, CountEveryLane) {
  std::uint32_t out[2] = {};
  run_text(kernel_around("atom.global.add.u32 %r1, [%rd0], 2;\nred.global.max.u32 [%rd0+4], %r0;"),
           out, nullptr);
  EXPECT_EQ(out[0], 64U);
  EXPECT_EQ(out[1], 31U);
}

TEST(Atomics, GiveWhatWasThere) {
  std::vector<std::uint32_t> out(34);
  run_text(kernel_around("atom.global.add.u32 %r1, [%rd0], 1;\nmul.wide.u32 %rd2, %r1, 4;\n"
                         "add.s64 %rd2, %rd2, %rd0;\nst.global.u32 [%rd2+8], 1;\n"
                         "atom.global.cas.b32 %r2, [%rd0+4], 0, 7;\n"
                         "atom.global.min.s32 %r2, [%rd0+4], 9;"),
           out.data(), nullptr);
  EXPECT_EQ(out[0], 32U);
  EXPECT_EQ(out[1], 7U);
  EXPECT_EQ(std::accumulate(out.begin() + 2, out.end(), 0U), 32U) << "each number once";
}

// Copies the first 16 bytes of `in` to shared memory, `filled` of them, and from there to `out`.
std::string copy_kernel(const std::string& filled, const std::string& wait) {
  return kernel_around(
      "setp.ne.u32 %p1, %r0, 0;\n@%p1 ret;\nmov.u32 %r1, memory;\n"
      "cp.async.cg.shared.global [%r1+16], [%rd1], 16, " +
          filled +
          ";\n"
          "cp.async.commit_group;\ncp.async.commit_group;\n" +
          wait +
          "\nld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1+16];\n"
          "st.global.v4.u32 [%rd0], {%r2, %r3, %r4, %r5};\ncp.async.wait_all;",
      kMemory);
}

struct Words {
  alignas(16) std::uint32_t word[4] = {1, 2, 3, 4};
};

TEST(Copies, ArriveWithTheWaitAndFillWithZeros) {
  const Words in;
  for (const bool late : {false, true}) {
    Options options;
    options.late_copies = late;
    Words out;
    run_text(copy_kernel("8", "cp.async.wait_group 1;"), &out, &in, kWithShared, options);
    EXPECT_THAT(out.word, testing::ElementsAre(1, 2, 0, 0));
    run_text(copy_kernel("0", "cp.async.wait_all;"), &out, &in, kWithShared, options);
    EXPECT_THAT(out.word, testing::ElementsAre(0, 0, 0, 0));
  }
}

TEST(Copies, ThatNobodyWaitedForAreNotThere) {
  const Words in;
  Words out;
  run_text(copy_kernel("16", "cp.async.wait_group 2;"), &out, &in, kWithShared);
  EXPECT_EQ(out.word[0], ~0U);
}

TEST(Copies, AreChecked) {
  EXPECT_THAT(error_of(copy_kernel("17", ""), kWithShared), HasSubstr("more bytes to read"));
  EXPECT_THAT(error_of(kernel_around("mov.u32 %r1, memory;\n"
                                     "cp.async.cg.shared.global [%r1+256], [%rd1], 16;",
                                     kMemory),
                       kWithShared),
              ContainsRegex("shared memory out of bounds.*cp.async.cg"));
  EXPECT_THAT(error_of(kernel_around("mov.u32 %r1, memory;\n"
                                     "cp.async.cg.shared.global [%r1], [%rd1+8], 16, 0;",
                                     kMemory),
                       kWithShared),
              HasSubstr("misaligned"));
  EXPECT_THAT(error_of(kernel_around("mov.u32 %r1, memory;\n"
                                     "cp.async.ca.shared.global [%r1], [%rd1], 4;",
                                     kMemory),
                       kWithShared),
              HasSubstr("a thread ends while copies of it are under way"));
}

}  // namespace
}  // namespace varve::ptx
