#include "kernels/reference/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/error.h"
#include "kernels/float16.h"
#include "kernels/gguf_blocks.h"

namespace varve {
namespace {

template <class Block>
std::vector<float> decode(DType dtype, const Block& block) {
  std::vector<float> values(dtype_info(dtype).block_size);
  dequantize(dtype, &block, values.size(), values.data());
  return values;
}

gguf::Nibbles16 counting_nibbles() {
  gguf::Nibbles16 qs{};
  // Element i is i, element i + 16 is 15 - i.
  for (std::size_t i = 0; i < 16; ++i) qs[i] = static_cast<std::uint8_t>(i | (15 - i) << 4U);
  return qs;
}

const std::uint16_t kHalf = f32_to_f16(0.5F);
const std::uint16_t kThree = f32_to_f16(3.0F);

TEST(Dequantize, Q4_0CentresOnEight) {
  const auto w = decode(DType::kQ4_0, gguf::Q4_0{kHalf, counting_nibbles()});
  EXPECT_EQ(w[0], -4.0F);
  EXPECT_EQ(w[15], 3.5F);
  EXPECT_EQ(w[16], 3.5F);
  EXPECT_EQ(w[31], -4.0F);
}

TEST(Dequantize, Q4_1AddsItsMinimum) {
  const auto w = decode(DType::kQ4_1, gguf::Q4_1{kHalf, kThree, counting_nibbles()});
  EXPECT_EQ(w[0], 3.0F);
  EXPECT_EQ(w[15], 10.5F);
  EXPECT_EQ(w[17], 10.0F);
}

TEST(Dequantize, Q5TakesTheFifthBitFromItsMask) {
  const std::array<std::uint8_t, 4> high{0x01, 0x80, 0x00, 0x80};  // elements 0, 15, 31
  const auto centred = decode(DType::kQ5_0, gguf::Q5_0{kHalf, high, counting_nibbles()});
  EXPECT_EQ(centred[0], 0.0F);
  EXPECT_EQ(centred[1], -7.5F);
  EXPECT_EQ(centred[15], 7.5F);
  EXPECT_EQ(centred[31], 0.0F);
  const auto offset = decode(DType::kQ5_1, gguf::Q5_1{kHalf, kThree, high, counting_nibbles()});
  EXPECT_EQ(offset[0], 11.0F);
  EXPECT_EQ(offset[1], 3.5F);
}

TEST(Dequantize, Q8_0IsSigned) {
  gguf::Q8_0 block{kHalf, {}};
  block.qs[0] = -128;
  block.qs[31] = 127;
  const auto w = decode(DType::kQ8_0, block);
  EXPECT_EQ(w[0], -64.0F);
  EXPECT_EQ(w[31], 63.5F);
}

TEST(Dequantize, KScalesSpreadOverTwelveBytes) {
  gguf::PackedScales packed{};
  packed[1] = 0xC0 | 5;  // scale 1 = 5, top bits of scale 5 = 3
  packed[5] = 0x40 | 7;  // min 1 = 7, top bits of min 5 = 1
  packed[9] = 0xA2;      // low bits of scale 5 = 2, of min 5 = 10
  EXPECT_EQ(gguf::scale_min(packed, 1).scale, 5);
  EXPECT_EQ(gguf::scale_min(packed, 1).min, 7);
  EXPECT_EQ(gguf::scale_min(packed, 5).scale, 0x32);
  EXPECT_EQ(gguf::scale_min(packed, 5).min, 0x1A);
}

TEST(Dequantize, Q4_KUsesScaleAndMinimumOfEachSubBlock) {
  gguf::Q4_K block{kHalf, kThree, {}, {}};
  block.scales[1] = 4;  // scale of elements 32 ... 63
  block.scales[5] = 2;  // their minimum
  block.qs[0] = 0x9F;   // elements 0 and 32
  const auto w = decode(DType::kQ4_K, block);
  EXPECT_EQ(w[0], 0.0F);  // scale and minimum 0
  EXPECT_EQ(w[32], 0.5F * 4 * 9 - 3 * 2);
  EXPECT_EQ(w[33], -6.0F);
}

TEST(Dequantize, Q5_KTakesTheFifthBitByGroup) {
  gguf::Q5_K block{kHalf, 0, {}, {}, {}};
  block.scales[2] = 1;  // elements 64 ... 95
  block.qh[3] = 0x04;   // element 67
  block.qs[32 + 3] = 0x05;
  const auto w = decode(DType::kQ5_K, block);
  EXPECT_EQ(w[67], 0.5F * 21);
  EXPECT_EQ(w[68], 0.0F);
}

TEST(Dequantize, Q6_KTakesTwoHighBits) {
  gguf::Q6_K block{{}, {}, {}, kHalf};
  block.scales[0] = 1;
  block.scales[6] = -2;  // elements 96 ... 111
  block.ql[1] = 0x0F;    // element 1
  block.ql[33] = 0xA0;   // element 97
  block.qh[1] = 0x81;    // element 1: 1, element 97: 2
  const auto w = decode(DType::kQ6_K, block);
  EXPECT_EQ(w[1], 0.5F * (0x1F - 32));
  EXPECT_EQ(w[97], 0.5F * -2 * (0x2A - 32));
  EXPECT_EQ(w[0], 0.5F * -32);
}

TEST(Dequantize, NeedsNoAlignment) {
  const gguf::Q8_0 block{kHalf, {1, 2, 3}};
  std::vector<std::uint8_t> bytes(sizeof(block) + 1);
  std::memcpy(bytes.data() + 1, &block, sizeof(block));
  std::vector<float> w(32);
  dequantize(DType::kQ8_0, bytes.data() + 1, 32, w.data());
  EXPECT_EQ(w[2], 1.5F);
}

TEST(Dequantize, RefusesHalfABlock) {
  float out = 0;
  EXPECT_ANY_THROW(dequantize(DType::kQ4_0, &out, 31, &out));
}

TEST(Float16, WideningAndNarrowingAreInverse) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    if (std::isnan(f16_to_f32(half))) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f16_to_f32(half)))));
    } else {
      ASSERT_EQ(f32_to_f16(f16_to_f32(half)), half);
    }
    if (std::isnan(bf16_to_f32(half))) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(bf16_to_f32(half)))));
    } else {
      ASSERT_EQ(f32_to_bf16(bf16_to_f32(half)), half);
    }
  }
}

// Between two neighbours the nearer wins; half way, the one with an even last bit.
TEST(Float16, NarrowingRoundsToNearestEven) {
  for (std::uint16_t half = 0; half < 0x7BFF; ++half) {
    const double low = f16_to_f32(half);
    const double high = f16_to_f32(static_cast<std::uint16_t>(half + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    const std::uint16_t even = half % 2 == 0 ? half : static_cast<std::uint16_t>(half + 1);
    ASSERT_EQ(f32_to_f16(middle), even);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 1e9F)), half + 1);
    ASSERT_EQ(f32_to_f16(-middle), even | 0x8000);
  }
  EXPECT_EQ(f32_to_f16(65519.996F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808000U)), 0x3F80);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F818000U)), 0x3F82);
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3F808001U)), 0x3F81);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
}

}  // namespace
}  // namespace varve
