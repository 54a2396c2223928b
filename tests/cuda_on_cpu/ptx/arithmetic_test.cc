// Single instructions on numbers, against what the PTX manual says or the host computes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda_on_cpu/ptx/rounding.h"
#include "tests/cuda_on_cpu/ptx/snippet.h"

namespace varve::ptx {
namespace {

using List = std::vector<std::string>;
const List kWords1{"r", "r"};
const List kWords2{"r", "r", "r"};
const List kWords3{"r", "r", "r", "r"};
const List kLongs2{"rd", "rd", "rd"};
const List kShorts2{"h", "h", "h"};
const List kFloats2{"f", "f", "f"};
const List kFloats3{"f", "f", "f", "f"};

constexpr std::uint32_t kMinusOne = ~0U;
constexpr std::uint64_t kLongMinusOne = ~std::uint64_t{0};

TEST(Integers, AddSubtractMultiply) {
  EXPECT_EQ(compute("add.s32", kWords2, {kMinusOne, 3}), 2U);
  EXPECT_EQ(compute("sub.u32", kWords2, {3, 5}), kMinusOne - 1);
  EXPECT_EQ(compute("add.s64", kLongs2, {0xffffffffU, 1}), 0x100000000U);
  EXPECT_EQ(compute("sub.s16", kShorts2, {3, 5}), 0xfffeU);
  EXPECT_EQ(compute("mul.lo.s32", kWords2, {kMinusOne, 7}), kMinusOne - 6);
  EXPECT_EQ(compute("mul.lo.u16", kShorts2, {0xffff, 0xffff}), 1U);
  EXPECT_EQ(compute("mul.lo.s64", kLongs2, {0x100000001U, 3}), 0x300000003U);
  EXPECT_EQ(compute("mul.hi.u32", kWords2, {kMinusOne, kMinusOne}), 0xfffffffeU);
  EXPECT_EQ(compute("mul.hi.s32", kWords2, {kMinusOne, 5}), kMinusOne);
  EXPECT_EQ(compute("mul.hi.u64", kLongs2, {kLongMinusOne, 16}), 15U);
  EXPECT_EQ(compute("mul.hi.s64", kLongs2, {kLongMinusOne, 16}), kLongMinusOne);
  EXPECT_EQ(compute("mul.wide.s32", {"rd", "r", "r"}, {kMinusOne, 5}), kLongMinusOne - 4);
  EXPECT_EQ(compute("mul.wide.u32", {"rd", "r", "r"}, {kMinusOne, 2}), 0x1fffffffeU);
  EXPECT_EQ(compute("mul.wide.s16", {"r", "h", "h"}, {0xffff, 5}), kMinusOne - 4);
  EXPECT_EQ(compute("mad.lo.s32", kWords3, {3, 4, 5}), 17U);
  EXPECT_EQ(compute("mad.hi.u32", kWords3, {1U << 31U, 4, 5}), 7U);
  EXPECT_EQ(compute("mad.wide.s32", {"rd", "r", "r", "rd"}, {kMinusOne, 4, 5}), 1U);
  EXPECT_EQ(compute("mad.lo.s64", {"rd", "rd", "rd", "rd"}, {3, 4, 5}), 17U);
}

TEST(Integers, DivideTowardZero) {
  EXPECT_EQ(compute("div.s32", kWords2, {static_cast<std::uint32_t>(-7), 2}), kMinusOne - 2);
  EXPECT_EQ(compute("rem.s32", kWords2, {static_cast<std::uint32_t>(-7), 2}), kMinusOne);
  EXPECT_EQ(compute("div.u32", kWords2, {0xfffffff9U, 2}), 0x7ffffffcU);
  EXPECT_EQ(compute("rem.u64", kLongs2, {100, 7}), 2U);
  EXPECT_EQ(compute("div.s32", kWords2, {1U << 31U, kMinusOne}), 1U << 31U);
  EXPECT_THROW(compute("div.u32", kWords2, {1, 0}), KernelError);
}

TEST(Integers, CompareAndSign) {
  EXPECT_EQ(compute("min.s32", kWords2, {kMinusOne, 1}), kMinusOne);
  EXPECT_EQ(compute("min.u32", kWords2, {kMinusOne, 1}), 1U);
  EXPECT_EQ(compute("max.s64", kLongs2, {kLongMinusOne, 1}), 1U);
  EXPECT_EQ(compute("max.u16", kShorts2, {0xffff, 1}), 0xffffU);
  EXPECT_EQ(compute("abs.s32", kWords1, {kMinusOne - 4}), 5U);
  EXPECT_EQ(compute("neg.s32", kWords1, {5}), kMinusOne - 4);
  EXPECT_EQ(compute("sad.s32", kWords3, {kMinusOne, 4, 10}), 15U);
}

// 96-bit sum, difference and product in parts of 32 bits.
TEST(Integers, Carries) {
  const std::uint32_t in[6] = {0xffffffffU, 0xffffffffU, 5, 1, 0, 7};
  alignas(16) std::uint32_t out[8] = {};
  run_text(kernel_around("ld.global.u32 %r1, [%rd1];\nld.global.u32 %r2, [%rd1+4];\n"
                         "ld.global.u32 %r3, [%rd1+8];\nld.global.u32 %r4, [%rd1+12];\n"
                         "ld.global.u32 %r5, [%rd1+16];\nld.global.u32 %r6, [%rd1+20];\n"
                         "add.cc.u32 %r10, %r1, %r4;\naddc.cc.u32 %r11, %r2, %r5;\n"
                         "addc.u32 %r12, %r3, %r6;\nsub.cc.u32 %r13, %r5, %r4;\n"
                         "subc.u32 %r14, %r6, %r5;\n"
                         "mul.lo.u32 %r15, %r1, %r2;\nmad.hi.cc.u32 %r16, %r1, %r2, %r4;\n"
                         "madc.lo.u32 %r17, %r4, %r4, %r5;\n"
                         "st.global.v4.u32 [%rd0], {%r10, %r11, %r12, %r13};\n"
                         "st.global.v4.u32 [%rd0+16], {%r14, %r15, %r16, %r17};"),
           out, in);
  EXPECT_THAT(out, testing::ElementsAre(0, 0, 13, 0xffffffffU, 6, 1, 0xffffffffU, 1));
}

TEST(Bits, LogicAndShifts) {
  EXPECT_EQ(compute("and.b32", kWords2, {12, 10}), 8U);
  EXPECT_EQ(compute("or.b64", kLongs2, {12, 3}), 15U);
  EXPECT_EQ(compute("xor.b16", kShorts2, {12, 10}), 6U);
  EXPECT_EQ(compute("not.b16", {"h", "h"}, {1}), 0xfffeU);
  EXPECT_EQ(compute("cnot.b32", kWords1, {0}), 1U);
  EXPECT_EQ(compute("shl.b32", kWords2, {3, 31}), 1U << 31U);
  EXPECT_EQ(compute("shl.b32", kWords2, {3, 32}), 0U);
  EXPECT_EQ(compute("shl.b64", {"rd", "rd", "r"}, {3, 40}), std::uint64_t{3} << 40U);
  EXPECT_EQ(compute("shr.u32", kWords2, {1U << 31U, 31}), 1U);
  EXPECT_EQ(compute("shr.s32", kWords2, {1U << 31U, 40}), kMinusOne);
  EXPECT_EQ(compute("shr.u32", kWords2, {kMinusOne, 40}), 0U);
  EXPECT_EQ(compute("shr.s16", {"h", "h", "r"}, {0x8000, 4}), 0xf800U);
  EXPECT_EQ(compute("shf.l.wrap.b32", kWords3, {0x80000000U, 1, 33}), 3U);
  EXPECT_EQ(compute("shf.r.wrap.b32", kWords3, {0x80000000U, 1, 31}), 3U);
  EXPECT_EQ(compute("shf.r.clamp.b32", kWords3, {5, 7, 40}), 7U);
  EXPECT_EQ(compute("shf.l.clamp.b32", kWords3, {5, 7, 40}), 5U);
}

TEST(Bits, CountsAndPlaces) {
  EXPECT_EQ(compute("popc.b32", kWords1, {0xf0f0}), 8U);
  EXPECT_EQ(compute("popc.b64", {"r", "rd"}, {kLongMinusOne}), 64U);
  EXPECT_EQ(compute("clz.b32", kWords1, {1}), 31U);
  EXPECT_EQ(compute("clz.b64", {"r", "rd"}, {0}), 64U);
  EXPECT_EQ(compute("brev.b32", kWords1, {6}), 0x60000000U);
  EXPECT_EQ(compute("bfind.u32", kWords1, {0x80}), 7U);
  EXPECT_EQ(compute("bfind.u32", kWords1, {0}), kMinusOne);
  EXPECT_EQ(compute("bfind.s32", kWords1, {kMinusOne - 0x7f}), 6U);
  EXPECT_EQ(compute("bfind.shiftamt.u32", kWords1, {0x80}), 24U);
}

TEST(Bits, Fields) {
  EXPECT_EQ(compute("bfe.u32", kWords3, {0xabcd, 4, 8}), 0xbcU);
  EXPECT_EQ(compute("bfe.s32", kWords3, {0xabcd, 4, 8}), 0xffffffbcU);
  EXPECT_EQ(compute("bfe.s32", kWords3, {0xabcd, 4, 0}), 0U);
  EXPECT_EQ(compute("bfe.s32", kWords3, {0x80000000U, 28, 16}), 0xfffffff8U);
  EXPECT_EQ(compute("bfe.u32", kWords3, {kMinusOne, 28, 16}), 0xfU);
  EXPECT_EQ(compute("bfe.s32", kWords3, {0x80000000U, 40, 4}), kMinusOne);
  EXPECT_EQ(compute("bfe.u64", {"rd", "rd", "r", "r"}, {0xabcd00000000U, 32, 8}), 0xcdU);
  EXPECT_EQ(compute("bfi.b32", {"r", "r", "r", "r", "r"}, {0xf, 0xaaaa0000U, 8, 4}), 0xaaaa0f00U);
  EXPECT_EQ(compute("bfi.b32", {"r", "r", "r", "r", "r"}, {kMinusOne, 0, 28, 32}), 0xf0000000U);
  EXPECT_EQ(compute("prmt.b32", kWords3, {0x33221100, 0x77665544, 0x7520}), 0x77552200U);
  EXPECT_EQ(compute("prmt.b32", kWords3, {0x00008000, 0, 0x9999}), 0xffffffffU);
  EXPECT_EQ(compute("dp4a.s32.s32", kWords3, {0x010203ffU, 0x01010102U, 10}), 14U);
  EXPECT_EQ(compute("dp4a.u32.u32", kWords3, {0x000000ffU, 0x00000002U, 10}), 520U);
}

TEST(Bits, AnyFunctionOfThree) {
  const auto lop3 = [](const char* table) {
    std::uint64_t result = 0;
    const std::vector<std::uint64_t> in(2);
    run_text(kernel_around(std::string("mov.b32 %r1, 0xf0;\nmov.b32 %r2, 0xcc;\n"
                                       "mov.b32 %r3, 0xaa;\nlop3.b32 %r4, %r1, %r2, %r3, ") +
                           table + ";\nst.global.u32 [%rd0], %r4;"),
             &result, in.data());
    return result & 0xffU;
  };
  // The inputs are the table's own numbers for a, b and c, so the result is the table itself.
  for (const int table : {0x80, 0xfe, 0x96, 0x1b, 0x00}) {
    EXPECT_EQ(lop3(std::to_string(table).c_str()), static_cast<std::uint64_t>(table));
  }
}

TEST(Floats, Arithmetic) {
  const float a = 1.1F;
  const float b = -3.7e5F;
  const float c = 2.0e-3F;
  EXPECT_EQ(compute("add.f32", kFloats2, {bits(a), bits(b)}), bits(a + b));
  EXPECT_EQ(compute("sub.rn.f32", kFloats2, {bits(a), bits(b)}), bits(a - b));
  EXPECT_EQ(compute("mul.f32", kFloats2, {bits(a), bits(b)}), bits(a * b));
  EXPECT_EQ(compute("div.rn.f32", kFloats2, {bits(a), bits(b)}), bits(a / b));
  EXPECT_EQ(compute("fma.rn.f32", kFloats3, {bits(a), bits(b), bits(c)}), bits(std::fma(a, b, c)));
  EXPECT_EQ(compute("neg.f32", {"f", "f"}, {bits(a)}), bits(-a));
  EXPECT_EQ(compute("abs.f32", {"f", "f"}, {bits(b)}), bits(-b));
  EXPECT_EQ(compute("copysign.f32", kFloats2, {bits(b), bits(a)}), bits(-a));
  EXPECT_EQ(compute("sqrt.rn.f32", {"f", "f"}, {bits(2.0F)}), bits(std::sqrt(2.0F)));
  EXPECT_EQ(compute("rcp.rn.f32", {"f", "f"}, {bits(3.0F)}), bits(1 / 3.0F));
  EXPECT_EQ(compute("ex2.approx.f32", {"f", "f"}, {bits(0.3F)}), bits(std::exp2(0.3F)));
  EXPECT_EQ(compute("lg2.approx.f32", {"f", "f"}, {bits(0.3F)}), bits(std::log2(0.3F)));
  EXPECT_EQ(compute("rsqrt.approx.f32", {"f", "f"}, {bits(4.0F)}), bits(0.5F));
  EXPECT_EQ(compute("sin.approx.f32", {"f", "f"}, {bits(0.0F)}), bits(0.0F));
  EXPECT_EQ(compute("cos.approx.f32", {"f", "f"}, {bits(0.0F)}), bits(1.0F));
  EXPECT_EQ(compute("fma.rn.f64", {"d", "d", "d", "d"}, {bits(1.1), bits(2.2), bits(3.3)}),
            bits(std::fma(1.1, 2.2, 3.3)));
}

TEST(Floats, AFusedMultiplyAddRoundsOnce) {
  const float a = 1.0F + 0x1p-12F;
  const float c = -(1.0F + 0x1p-11F);
  EXPECT_EQ(compute("fma.rn.f32", kFloats3, {bits(a), bits(a), bits(c)}), bits(0x1p-24F));
}

TEST(Floats, RoundAsTheyAreTold) {
  const float tiny = 0x1p-40F;
  EXPECT_EQ(compute("add.rp.f32", kFloats2, {bits(1.0F), bits(tiny)}), bits(1.0F + 0x1p-23F));
  EXPECT_EQ(compute("add.rm.f32", kFloats2, {bits(1.0F), bits(tiny)}), bits(1.0F));
  EXPECT_EQ(compute("add.rm.f32", kFloats2, {bits(-1.0F), bits(-tiny)}), bits(-1.0F - 0x1p-23F));
  EXPECT_EQ(compute("add.rz.f32", kFloats2, {bits(-1.0F), bits(-tiny)}), bits(-1.0F));
  EXPECT_EQ(compute("fma.rm.f32", kFloats3, {bits(1.0F), bits(1.0F), bits(-tiny)}),
            bits(1.0F - 0x1p-24F));
  const float above = 1.0F + 0x1p-12F;  // its square ends 2^-24 above a float
  EXPECT_EQ(compute("mul.rz.f32", kFloats2, {bits(above), bits(above)}), bits(1.0F + 0x1p-11F));
  EXPECT_EQ(compute("mul.rp.f32", kFloats2, {bits(above), bits(above)}),
            bits(1.0F + 0x1p-11F + 0x1p-23F));
  // and the next instruction to nearest again
  EXPECT_EQ(compute("add.f32", kFloats2, {bits(1.0F), bits(tiny)}), bits(1.0F));
}

TEST(Floats, FlushAndSaturate) {
  const float subnormal = 0x1p-130F;
  EXPECT_EQ(compute("add.ftz.f32", kFloats2, {bits(-subnormal), bits(-0.0F)}), bits(-0.0F));
  EXPECT_EQ(compute("mul.ftz.f32", kFloats2, {bits(0x1p-70F), bits(0x1p-60F)}), bits(0.0F));
  EXPECT_EQ(compute("mul.f32", kFloats2, {bits(0x1p-70F), bits(0x1p-60F)}), bits(subnormal));
  EXPECT_EQ(compute("ex2.approx.ftz.f32", {"f", "f"}, {bits(-130.0F)}), bits(0.0F));
  EXPECT_EQ(compute("ex2.approx.ftz.f32", {"f", "f"}, {bits(-INFINITY)}), bits(0.0F));
  EXPECT_EQ(compute("add.sat.f32", kFloats2, {bits(3.0F), bits(1.0F)}), bits(1.0F));
  EXPECT_EQ(compute("add.sat.f32", kFloats2, {bits(-3.0F), bits(1.0F)}), bits(0.0F));
  EXPECT_EQ(compute("add.sat.f32", kFloats2, {bits(NAN), bits(1.0F)}), bits(0.0F));
}

TEST(Floats, ExtremesPreferNumbers) {
  EXPECT_EQ(compute("min.f32", kFloats2, {bits(NAN), bits(1.0F)}), bits(1.0F));
  EXPECT_EQ(compute("max.f32", kFloats2, {bits(1.0F), bits(NAN)}), bits(1.0F));
  EXPECT_EQ(compute("min.f32", kFloats2, {bits(0.0F), bits(-0.0F)}), bits(-0.0F));
  EXPECT_EQ(compute("max.f32", kFloats2, {bits(-0.0F), bits(0.0F)}), bits(0.0F));
  EXPECT_EQ(compute("max.f32", kFloats2, {bits(-INFINITY), bits(2.0F)}), bits(2.0F));
  EXPECT_TRUE(std::isnan(as_float(compute("max.NaN.f32", kFloats2, {bits(1.0F), bits(NAN)}))));
}

TEST(HalfFloats, OneRoundingEach) {
  const auto half = [](double x) { return std::uint64_t{narrow<Half>(x).bits}; };
  const auto bf16 = [](double x) { return std::uint64_t{narrow<Bf16>(x).bits}; };
  EXPECT_EQ(compute("add.f16", kShorts2, {half(1), half(0x1p-11)}), half(1));
  EXPECT_EQ(compute("mul.bf16", kShorts2, {bf16(1.5), bf16(-3)}), bf16(-4.5));
  // (1 + 2^-10)^2 - 1 = 2^-9 + 2^-20: the product must not be rounded first.
  EXPECT_EQ(compute("fma.rn.f16", {"h", "h", "h", "h"},
                    {half(1 + 0x1p-10), half(1 + 0x1p-10), half(-1 - 0x1p-9)}),
            half(0x1p-20));
  const std::uint64_t ones = half(1) << 16U | half(1);
  EXPECT_EQ(compute("fma.rn.f16x2", kWords3, {half(2) << 16U | half(3), ones, ones}),
            half(3) << 16U | half(4));
  EXPECT_EQ(compute("max.bf16x2", kWords2, {bf16(2) << 16U | bf16(-3), bf16(1) << 16U | bf16(5)}),
            bf16(2) << 16U | bf16(5));
  EXPECT_EQ(compute("neg.bf16x2", kWords1, {bf16(2) << 16U | bf16(-3)}), bf16(-2) << 16U | bf16(3));
}

TEST(HalfFloats, FusedRoundsToOdd) {
  // The exact sum lies just above half way between two bfloat16 numbers, by less than a double
  // sees.
  const double exact = fused(0x1p-60, 0x1p-60, 1 + 0x1p-8);
  EXPECT_EQ(narrow<Bf16>(exact).bits, narrow<Bf16>(1 + 0x1p-7).bits);
  EXPECT_EQ(narrow<Bf16>(fused(-0x1p-60, 0x1p-60, 1 + 0x1p-8)).bits, narrow<Bf16>(1.0).bits);
}

TEST(Choices, SelectByPredicate) {
  const auto selected = [](const std::string& comparison, std::uint64_t a, std::uint64_t b) {
    std::uint64_t result = 0;
    const std::vector<std::uint64_t> in{a, b};
    run_text(kernel_around("ld.global.b32 %r1, [%rd1];\nld.global.b32 %r2, [%rd1+8];\n"
                           "setp." +
                           comparison +
                           " %p1|%p2, %r1, %r2;\n"
                           "selp.b32 %r3, 1, 0, %p1;\nselp.b32 %r4, 2, 0, %p2;\n"
                           "add.u32 %r3, %r3, %r4;\nst.global.u32 [%rd0], %r3;"),
             &result, in.data());
    return result;
  };
  EXPECT_EQ(selected("lt.s32", kMinusOne, 1), 1U);
  EXPECT_EQ(selected("lt.u32", kMinusOne, 1), 2U);
  EXPECT_EQ(selected("hi.u32", kMinusOne, 1), 1U);
  EXPECT_EQ(selected("ge.f32", bits(2.0F), bits(2.0F)), 1U);
  EXPECT_EQ(selected("lt.f32", bits(NAN), bits(2.0F)), 2U);
  EXPECT_EQ(selected("ltu.f32", bits(NAN), bits(2.0F)), 1U);
  EXPECT_EQ(selected("ne.f32", bits(NAN), bits(2.0F)), 2U);
  EXPECT_EQ(selected("neu.f32", bits(NAN), bits(2.0F)), 1U);
  EXPECT_EQ(selected("eq.f32", bits(-0.0F), bits(0.0F)), 1U);
  EXPECT_EQ(selected("nan.f32", bits(NAN), bits(2.0F)), 1U);
  EXPECT_EQ(selected("num.f32", bits(NAN), bits(2.0F)), 2U);
}

TEST(Choices, JoinPredicates) {
  std::uint64_t result[2] = {};
  run_text(kernel_around("setp.ne.u32 %p1, %r0, %r0;\n"                // false
                         "setp.eq.and.u32 %p2|%p3, %r0, %r0, !%p1;\n"  // true | false
                         "setp.ne.or.u32 %p4, %r0, %r0, %p2;\n"        // true
                         "xor.pred %p5, %p2, %p4;\nnot.pred %p6, %p5;\nand.pred %p7, %p6, %p4;\n"
                         "mov.pred %p8, -1;\n"
                         "selp.u64 %rd2, 1, 0, %p7;\nselp.u64 %rd3, 1, 0, %p3;\n"
                         "st.global.u64 [%rd0], %rd2;\nst.global.u64 [%rd0+8], %rd3;\n"
                         "@!%p8 st.global.u64 [%rd0], 7;"),
           result, result);
  EXPECT_EQ(result[0], 1U);
  EXPECT_EQ(result[1], 0U);
}

}  // namespace
}  // namespace varve::ptx
