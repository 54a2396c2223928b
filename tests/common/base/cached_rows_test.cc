#include "common/cached_rows.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace varve {
namespace {

constexpr DType kGroups[] = {DType::kInt8, DType::kInt4, DType::kInt2};

TEST(CachedRows, FloatRowsTakeTheirElements) {
  EXPECT_EQ(key_bytes(DType::kF32, 33, 80), 33U * 80 * 4);
  EXPECT_EQ(value_bytes(DType::kBF16, 33, 80), 33U * 80 * 2);
  EXPECT_EQ(key_bytes(DType::kF16, 1, 1), 2U);
  EXPECT_EQ(stored_rows(DType::kF16, 33), 33U);
}

// 32 codes, a scale and a minimum of two bytes each: KIVI's b + 1 bits a number.
TEST(CachedRows, IntegerRowsTakeTheirCodesAndTwoHalvesForEach32) {
  EXPECT_EQ(key_bytes(DType::kInt8, 32, 64), 32U * 64 * 9 / 8);
  EXPECT_EQ(key_bytes(DType::kInt4, 32, 64), 32U * 64 * 5 / 8);
  EXPECT_EQ(value_bytes(DType::kInt2, 32, 64), 32U * 64 * 3 / 8);
  for (const DType dtype : kGroups) EXPECT_EQ(dtype_info(dtype).block_size, kRowGroup);
}

TEST(CachedRows, AnIntegerHeadTakesWholeGroupsAndHeadsAddUp) {
  for (const DType dtype : kGroups) {
    EXPECT_EQ(key_bytes(dtype, 0, 64), 0U);
    EXPECT_EQ(key_bytes(dtype, 1, 64), key_bytes(dtype, 32, 64));
    EXPECT_EQ(value_bytes(dtype, 33, 64), value_bytes(dtype, 64, 64));
    EXPECT_EQ(stored_rows(dtype, 33), 64U);
    EXPECT_EQ(key_bytes(dtype, 5, 96) + key_bytes(dtype, 70, 96),
              key_bytes(dtype, stored_rows(dtype, 5) + 70, 96));
  }
}

TEST(CachedRows, IntegerHeadsAreWholeBlocks) {
  EXPECT_THROW(key_bytes(DType::kInt8, 1, 80), std::logic_error);
  EXPECT_THROW(value_bytes(DType::kInt4, 1, 16), std::logic_error);
}

}  // namespace
}  // namespace varve
