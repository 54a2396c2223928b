// The writers that other tests rely on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/gguf_writer.h"

namespace varve {
namespace {

std::uint16_t narrowed(DType dtype, float value) {
  const auto bytes = encode_plain(dtype, std::vector{value});
  std::uint16_t bits = 0;
  std::memcpy(&bits, bytes.data(), sizeof(bits));
  return bits;
}

// Every finite half, built by its definition, survives; so does what lies a quarter of a unit away.
TEST(Writers, NarrowToF16) {
  for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const int exponent = static_cast<int>(bits >> 10);
    const auto fraction = static_cast<float>(bits & 0x3ff);
    const float unit = std::ldexp(1.0F, std::max(exponent, 1) - 25);
    const float value = unit * (exponent == 0 ? fraction : 1024 + fraction);
    EXPECT_EQ(narrowed(DType::kF16, value), bits);
    EXPECT_EQ(narrowed(DType::kF16, value + unit / 4), bits);
    EXPECT_EQ(narrowed(DType::kF16, -value), bits | 0x8000);
    const std::uint32_t even = bits + (bits & 1);
    EXPECT_EQ(narrowed(DType::kF16, value + unit / 2), even);
  }
  EXPECT_EQ(narrowed(DType::kF16, 1e6F), 0x7c00);
  EXPECT_EQ(narrowed(DType::kF16, std::numeric_limits<float>::quiet_NaN()) & 0x7e00, 0x7e00);
}

TEST(Writers, NarrowToBf16) {
  EXPECT_EQ(narrowed(DType::kBF16, 1.0F), 0x3f80);
  EXPECT_EQ(narrowed(DType::kBF16, -1.0F - 0x1p-8F), 0xbf80);            // a tie, to even
  EXPECT_EQ(narrowed(DType::kBF16, 1.0F + 0x1p-7F + 0x1p-8F), 0x3f82);   // a tie, to even
  EXPECT_EQ(narrowed(DType::kBF16, 1.0F + 0x1p-8F + 0x1p-20F), 0x3f81);  // above the tie
  EXPECT_EQ(narrowed(DType::kBF16, std::numeric_limits<float>::max()), 0x7f80);
}

TEST(Writers, RandomThingsDependOnTheSeedAlone) {
  EXPECT_EQ(random_values(9, 4), random_values(9, 4));
  EXPECT_NE(random_values(9, 4), random_values(9, 5));
  for (const float v : random_values(1000, 1, 0.5F)) EXPECT_LE(std::fabs(v), 0.5F);
  EXPECT_EQ(random_blocks(DType::kQ6_K, 512, 1), random_blocks(DType::kQ6_K, 512, 1));
  EXPECT_NE(random_blocks(DType::kQ6_K, 512, 1), random_blocks(DType::kQ6_K, 512, 2));
}

TEST(Writers, RefuseDataThatDoesNotFitTheShape) {
  GgufWriter w;
  EXPECT_THROW(w.tensor("t", {2, 3}, random_values(5, 1)), std::logic_error);
}

}  // namespace
}  // namespace varve
