#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/cuda_on_cpu/ptx/rounding.h"
#include "tests/cuda_on_cpu/ptx/snippet.h"

namespace varve::ptx {
namespace {

constexpr std::uint32_t kMinusOne = ~0U;

std::uint64_t convert(const std::string& kind, const char* to, const char* from,
                      std::uint64_t value) {
  return compute("cvt." + kind, {to, from}, {value});
}

TEST(Convert, Integers) {
  EXPECT_EQ(convert("u64.u32", "rd", "r", kMinusOne), 0xffffffffU);
  EXPECT_EQ(convert("s64.s32", "rd", "r", kMinusOne), ~std::uint64_t{0});
  EXPECT_EQ(convert("u32.u64", "r", "rd", 0x500000003U), 3U);
  EXPECT_EQ(convert("s32.s8", "r", "r", 0x80), 0xffffff80U);
  EXPECT_EQ(convert("u32.u8", "r", "r", 0x180), 0x80U);
  EXPECT_EQ(convert("s16.s8", "h", "r", 0xff), 0xffffU);
  EXPECT_EQ(convert("u16.u32", "h", "r", 0x12345), 0x2345U);
  EXPECT_EQ(convert("s8.s32", "r", "r", 0x80), 0xffffff80U) << "a register longer than the number";
  EXPECT_EQ(convert("sat.s8.s32", "r", "r", 300), 127U);
  EXPECT_EQ(convert("sat.u8.s32", "r", "r", kMinusOne), 0U);
}

TEST(Convert, FloatsToIntegers) {
  const auto to_int = [](const std::string& mode, float x) {
    return static_cast<std::int32_t>(convert(mode + ".s32.f32", "r", "f", bits(x)));
  };
  EXPECT_EQ(to_int("rzi", -2.7F), -2);
  EXPECT_EQ(to_int("rni", 2.5F), 2);
  EXPECT_EQ(to_int("rni", 3.5F), 4);
  EXPECT_EQ(to_int("rmi", -2.1F), -3);
  EXPECT_EQ(to_int("rpi", 2.1F), 3);
  EXPECT_EQ(to_int("rzi", 1e20F), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(to_int("rzi", -1e20F), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(to_int("rzi", NAN), 0);
  EXPECT_EQ(convert("rzi.u32.f32", "r", "f", bits(-5.0F)), 0U);
  EXPECT_EQ(convert("rzi.u64.f32", "rd", "f", bits(0x1p40F)), std::uint64_t{1} << 40U);
  EXPECT_EQ(convert("rzi.u64.f64", "rd", "d", bits(0x1p70)), ~std::uint64_t{0});
  EXPECT_EQ(convert("rni.f32.f32", "f", "f", bits(-0.4F)), bits(-0.0F));
}

TEST(Convert, IntegersToFloats) {
  EXPECT_EQ(convert("rn.f32.s32", "f", "r", static_cast<std::uint32_t>(-7)), bits(-7.0F));
  EXPECT_EQ(convert("rn.f32.u32", "f", "r", kMinusOne), bits(0x1p32F));
  EXPECT_EQ(convert("rz.f32.u32", "f", "r", kMinusOne), bits(4294967040.0F));
  EXPECT_EQ(convert("rn.f32.u64", "f", "rd", std::uint64_t{1} << 60U), bits(0x1p60F));
  EXPECT_EQ(convert("rn.f64.s32", "d", "r", kMinusOne), bits(-1.0));
  EXPECT_EQ(convert("rn.f32.u16", "f", "h", 65535), bits(65535.0F));
}

TEST(Convert, FloatsToFloats) {
  EXPECT_EQ(convert("f64.f32", "d", "f", bits(1.5F)), bits(1.5));
  EXPECT_EQ(convert("rn.f32.f64", "f", "d", bits(0.1)), bits(0.1F));
  EXPECT_EQ(convert("rp.f32.f64", "f", "d", bits(1 + 0x1p-40)), bits(1 + 0x1p-23F));
  EXPECT_EQ(convert("rz.f32.f64", "f", "d", bits(1 + 0x1p-24 + 0x1p-30)), bits(1.0F));
  EXPECT_EQ(convert("sat.f32.f32", "f", "f", bits(1.5F)), bits(1.0F));
  EXPECT_EQ(convert("ftz.f32.f32", "f", "f", bits(0x1p-140F)), bits(0.0F));
  EXPECT_EQ(convert("f32.bf16", "f", "h", 0xc040), bits(-3.0F));
  EXPECT_EQ(convert("f32.f16", "f", "h", 0x0001), bits(0x1p-24F));
  EXPECT_EQ(convert("f32.f16", "f", "h", 0xfc00), bits(-INFINITY));
  EXPECT_EQ(convert("rn.bf16.f32", "h", "f", bits(1 + 0x1p-8F)), 0x3f80U);
  EXPECT_EQ(convert("rn.bf16.f32", "h", "f", bits(1 + 0x1.8p-7F)), 0x3f82U);
  EXPECT_EQ(convert("rn.bf16.f32", "h", "f", bits(NAN)), 0x7fffU);
  EXPECT_EQ(convert("rn.bf16.f32", "h", "f", bits(3.4e38F)), 0x7f80U);
  EXPECT_EQ(convert("rz.bf16.f32", "h", "f", bits(3.4e38F)), 0x7f7fU);
  EXPECT_EQ(convert("rn.f16.f32", "h", "f", bits(65520.0F)), 0x7c00U);
  EXPECT_EQ(convert("rn.f16.f32", "h", "f", bits(65519.0F)), 0x7bffU);
  EXPECT_EQ(convert("rn.f16.f32", "h", "f", bits(0x1p-25F)), 0U);
  EXPECT_EQ(convert("rn.f16.f32", "h", "f", bits(0x1.8p-25F)), 1U);
  EXPECT_EQ(convert("rp.f16.f32", "h", "f", bits(0x1p-40F)), 1U);
}

TEST(Convert, PairsPutTheFirstHigh) {
  EXPECT_EQ(compute("cvt.rn.bf16x2.f32", {"r", "f", "f"}, {bits(1.0F), bits(-2.0F)}), 0x3f80c000U);
  EXPECT_EQ(compute("cvt.rn.f16x2.f32", {"r", "f", "f"}, {bits(1.0F), bits(-2.0F)}), 0x3c00c000U);
  EXPECT_EQ(compute("cvt.rz.bf16x2.f32", {"r", "f", "f"}, {bits(1.999F), bits(NAN)}), 0x3fff7fffU);
}

// Every 16-bit number survives the way to double and back.
TEST(Rounding, IsTheInverseOfWidening) {
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto number = static_cast<std::uint16_t>(pattern);
    if (!std::isnan(widen(Half{number}))) {
      ASSERT_EQ(narrow<Half>(widen(Half{number})).bits, number);
    }
    if (!std::isnan(widen(Bf16{number}))) {
      ASSERT_EQ(narrow<Bf16>(widen(Bf16{number})).bits, number);
    }
  }
}

// Half way between neighbours it goes to the even one, just beside to the nearer one.
TEST(Rounding, IsToNearestEven) {
  for (const std::uint16_t lower : {0x0000, 0x0001, 0x03ff, 0x0400, 0x3c01, 0x7bfe}) {
    const auto upper = static_cast<std::uint16_t>(lower + 1);
    const double a = widen(Half{lower});
    const double b = widen(Half{upper});
    const double middle = (a + b) / 2;
    EXPECT_EQ(narrow<Half>(middle).bits, lower % 2 == 0 ? lower : upper);
    EXPECT_EQ(narrow<Half>(std::nextafter(middle, b)).bits, upper);
    EXPECT_EQ(narrow<Half>(std::nextafter(middle, a)).bits, lower);
    EXPECT_EQ(narrow<Half>(middle, FE_UPWARD).bits, upper);
    EXPECT_EQ(narrow<Half>(middle, FE_DOWNWARD).bits, lower);
    EXPECT_EQ(narrow<Half>(-middle, FE_UPWARD).bits, 0x8000 | lower);
    EXPECT_EQ(narrow<Half>(-middle, FE_TOWARDZERO).bits, 0x8000 | lower);
  }
}

}  // namespace
}  // namespace varve::ptx
