// Rows in the integer formats: what encode_rows promises of every number.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "kernels/float16.h"
#include "tests/kernels/attend_fixture.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::size_t bits_of(DType dtype) {
  return dtype == DType::kInt8 ? 8 : (dtype == DType::kInt4 ? 4 : 2);
}

float half_at(const std::uint8_t* at) {
  std::uint16_t half;
  std::memcpy(&half, at, sizeof(half));
  return f16_to_f32(half);
}

class EncodeTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = test_ops(GetParam(), 2);
  Random random_{43};

  /// One head of one row of 32 channels: its values are one group.
  std::vector<float> through(DType dtype, const std::vector<float>& numbers,
                             std::uint8_t* block = nullptr) {
    CachedRows plain(DType::kF32, 1, 32, 1);
    Rows row(1, 32);
    std::copy(numbers.begin(), numbers.end(), row.row(0));
    ops_->append_rows(row.view(), row.view(), std::vector<std::int32_t>{0}, plain.store(), 0);
    CachedRows cache(dtype, 1, 32, 1);
    ops_->encode_rows(plain.view(), cache.store());
    if (block != nullptr) std::copy_n(cache.values().data(), row_bytes(dtype, 32), block);
    return decode_values(cache.view(), 0);
  }

  static std::vector<float> repeated(std::vector<float> numbers) {
    for (std::size_t i = 0; numbers.size() < 32; ++i) numbers.push_back(numbers[i]);
    return numbers;
  }
};

// The scale that stands at the block of a number, halved, and one rounding of the decoded number.
double bound_of(float scale, float want) {
  return scale / 2.0 * (1 + 4 * kEps) + kEps * (std::abs(double{want}) + scale);
}

TEST_P(EncodeTest, NoNumberIsFurtherThanHalfAStep) {
  for (const DType dtype : kGroupTypes) {
    const std::size_t bytes = row_bytes(dtype, kRowGroup);
    for (const std::size_t dim : {32, 64, 96, 128}) {
      const Shape shape{3, 3, dim, DType::kF16};
      const std::vector<std::size_t> rows{70, 0, 33};
      const CachedRows from = ragged_cache(*ops_, shape, rows, random_, 5);
      CachedRows cache(dtype, dim, rows);
      ops_->encode_rows(from.view(), cache.store());
      const SegmentView view = cache.view();
      for (std::size_t head = 0; head < 3; ++head) {
        const std::vector<float> want_keys = decode_keys(from.view(), head);
        const std::vector<float> want_values = decode_values(from.view(), head);
        const std::vector<float> keys = decode_keys(view, head);
        const std::vector<float> values = decode_values(view, head);
        for (std::size_t i = 0; i < keys.size(); ++i) {
          const std::size_t row = view.heads[head].begin + i / dim;
          const std::size_t key_block = row / kRowGroup * dim + i % dim;
          const std::size_t value_block = (row * dim + i % dim) / kRowGroup;
          const float key_scale = half_at(cache.keys().data() + key_block * bytes);
          const float value_scale = half_at(cache.values().data() + value_block * bytes);
          EXPECT_NEAR(keys[i], want_keys[i], bound_of(key_scale, want_keys[i])) << i;
          EXPECT_NEAR(values[i], want_values[i], bound_of(value_scale, want_values[i])) << i;
        }
        const auto got = view.positions_of(head);
        const auto want = from.view().positions_of(head);
        EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin(), want.end()));
      }
    }
  }
}

// The step is what the range asks for, but for rounding to float16.
TEST_P(EncodeTest, TheStepFitsTheRange) {
  for (const DType dtype : kGroupTypes) {
    for (int n = 0; n < 200; ++n) {
      const float size = std::ldexp(1.0F, n % 36 - 24);
      std::vector<float> numbers(32);
      for (float& number : numbers) number = random_.real() * size;
      const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
      std::uint8_t block[36];
      const std::vector<float> got = through(dtype, numbers, block);
      const double minimum = half_at(block + 2);
      const double steps = (1U << bits_of(dtype)) - 1;
      const double ideal = (*most - minimum) / steps;
      EXPECT_LE(minimum, *least);
      EXPECT_GE(minimum, *least - std::max(std::abs(*least) * 0x1p-10, 0x1p-24));
      EXPECT_NEAR(half_at(block), ideal, std::max(ideal * 0x1p-11, 0x1p-24));
      for (std::size_t i = 0; i < 32; ++i) {
        EXPECT_NEAR(got[i], numbers[i], bound_of(half_at(block), numbers[i])) << i;
      }
    }
  }
}

TEST_P(EncodeTest, ConstantGroupsAreExact) {
  for (const DType dtype : kGroupTypes) {
    for (const float number : {0.0F, 1.0F, -3.140625F, 65504.0F, -65504.0F, 0x1p-24F, -0x1p-24F}) {
      EXPECT_EQ(through(dtype, std::vector<float>(32, number)), std::vector<float>(32, number));
    }
    // What float16 cannot hold is off by at most half of the least step that it can.
    for (const float got : through(dtype, std::vector<float>(32, 1e-9F))) {
      EXPECT_NEAR(got, 1e-9F, 0x1p-25);
    }
  }
}

TEST_P(EncodeTest, AsManyLevelsAsCodesAreExact) {
  for (const DType dtype : kGroupTypes) {
    std::vector<float> levels;
    for (std::size_t i = 0; i < 32; ++i) {
      levels.push_back(static_cast<float>(i * 37 % (1U << bits_of(dtype))) * 0.25F - 2);
    }
    levels[0] = -2;
    levels[31] = static_cast<float>((1U << bits_of(dtype)) - 1) * 0.25F - 2;
    EXPECT_EQ(through(dtype, levels), levels) << dtype_info(dtype).name;
    for (std::size_t i = 0; i < 32; ++i) levels[i] = levels[i % 3 == 0 ? 0 : 31];
    EXPECT_EQ(through(dtype, levels), levels) << "two levels in " << dtype_info(dtype).name;
  }
}

// The example of KIVI's definition: (0, 1, 2, 4) in two bits has a step of 4/3 and the codes 0, 1,
// 2, 3. Here the step is the nearest float16.
TEST_P(EncodeTest, TwoBitsOfASmallExample) {
  std::uint8_t block[12];
  const auto got = through(DType::kInt2, repeated({0, 1, 2, 4}), block);
  const float step = half_at(block);
  EXPECT_NEAR(step, 4.0 / 3, 0x1p-11);
  EXPECT_EQ(half_at(block + 2), 0.0F);
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(got[i], static_cast<float>(i % 4) * step);
  // Code i stands in byte i % 8, at bit 2 (i / 8).
  for (std::size_t byte = 0; byte < 8; ++byte) EXPECT_EQ(block[4 + byte], byte % 4 * 0x55) << byte;
}

TEST_P(EncodeTest, WhatFloat16CannotHoldIsNotANumber) {
  for (const DType dtype : kGroupTypes) {
    for (const float bad : {kInfinity, -kInfinity, std::nanf(""), 70000.0F, -65505.0F}) {
      std::vector<float> numbers = repeated({1, 2, 3});
      numbers[17] = bad;
      for (const float got : through(dtype, numbers)) EXPECT_TRUE(std::isnan(got)) << bad;
    }
    for (const float got : through(dtype, repeated({-65504, 65504, 0.5F}))) {
      EXPECT_TRUE(std::isfinite(got));
    }
  }
}

TEST_P(EncodeTest, TheBytesAreThoseOfTheReference) {
  const auto reference = make_ops("reference", 1);
  for (const DType dtype : kGroupTypes) {
    for (const DType source : kRowTypes) {
      const Shape shape{3, 3, 96, source};
      const std::vector<std::size_t> rows{100, 31, 0};
      const CachedRows from = ragged_cache(*reference, shape, rows, random_);
      CachedRows got(dtype, 96, rows);
      CachedRows want(dtype, 96, rows);
      ops_->encode_rows(from.view(), got.store());
      reference->encode_rows(from.view(), want.store());
      EXPECT_EQ(got.keys(), want.keys()) << dtype_info(dtype).name;
      EXPECT_EQ(got.values(), want.values()) << dtype_info(dtype).name;
      EXPECT_EQ(got.positions(), want.positions());
    }
  }
}

TEST_P(EncodeTest, SharedPositionsStaySharedOrAreSpread) {
  const Shape shape{2, 2, 32};
  const CachedRows from = random_cache(*ops_, shape, 40, random_, 7, 2);
  CachedRows shared(DType::kInt4, 2, 32, 40);
  CachedRows spread(DType::kInt4, 32, {40, 40});
  ops_->encode_rows(from.view(40), shared.store());
  ops_->encode_rows(from.view(40), spread.store());
  EXPECT_EQ(shared.keys(), spread.keys());
  for (const std::size_t head : {0, 1}) {
    const auto want = from.view(40).positions_of(head);
    for (const SegmentView& got : {shared.view(), spread.view()}) {
      EXPECT_TRUE(std::equal(want.begin(), want.end(), got.positions_of(head).begin()));
    }
  }
}

TEST_P(EncodeTest, IsChecked) {
  const CachedRows from = random_cache(*ops_, {2, 2, 32}, 40, random_);
  const CachedRows narrow = random_cache(*ops_, {2, 2, 16}, 40, random_);
  const CachedRows ragged = ragged_cache(*ops_, {2, 2, 32}, {40, 40}, random_);
  const auto refuses = [&](const SegmentView& view, const SegmentStore& into) {
    EXPECT_THROW(ops_->encode_rows(view, into), std::logic_error);
  };
  CachedRows ints(DType::kInt8, 2, 32, 40);
  CachedRows floats(DType::kF16, 2, 32, 40);
  refuses(from.view(40), floats.store());
  refuses(from.view(39), ints.store());
  refuses(narrow.view(40), ints.store());
  refuses(ragged.view(), ints.store());  // positions per head into shared ones
  refuses(ints.view(), ints.store());
  SegmentStore sixteen = ints.store();
  sixteen.head_dim = 16;
  refuses(narrow.view(40), sixteen);
  SegmentStore shifted = ints.store();
  const HeadRows begins[] = {{0, 40}, {40, 40}};
  shifted.heads = begins;
  refuses(from.view(40), shifted);
}

INSTANTIATE_TEST_SUITE_P(Backends, EncodeTest, testing::ValuesIn(all_backends()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace varve::test
