#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/float16.h"
#include "tests/kernels/fixtures.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

class RowwiseTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = test_ops(GetParam(), 2);
  Random random_{17};
};

TEST_P(RowwiseTest, RmsNormScalesEachGroup) {
  for (const std::size_t size : {1, 7, 16, 33, 64, 576}) {
    for (const std::size_t groups : {1, 3}) {
      Rows x = Rows::random(70, size * groups, random_, 2);
      std::vector<float> gain(size);
      for (float& value : gain) value = random_.real();
      Rows y(70, size * groups, 4);
      ops_->rms_norm(x.view(), vector_weight(*ops_, gain), 1e-5, y.view());
      Rows want(70, size * groups);
      for (std::size_t i = 0; i < 70 * groups; ++i) {
        const float* in = x.row(i / groups) + i % groups * size;
        double squares = 0;
        for (std::size_t k = 0; k < size; ++k) squares += double{in[k]} * in[k];
        const double norm = std::sqrt(squares / static_cast<double>(size) + 1e-5);
        for (std::size_t k = 0; k < size; ++k) {
          want.row(i / groups)[i % groups * size + k] = static_cast<float>(in[k] / norm * gain[k]);
        }
      }
      // The sum of squares is off by `size` roundings, its root by half of that.
      const double roundings = static_cast<double>(size) / 2 + 5;
      EXPECT_TRUE(near(y.view(), want.view(), [&](std::size_t r, std::size_t c) {
        return roundings * kEps * std::abs(want.row(r)[c]);
      })) << size;
      EXPECT_TRUE(y.gaps_intact());
    }
  }
}

TEST_P(RowwiseTest, RmsNormWorksInPlace) {
  Rows x = Rows::random(5, 66, random_);
  const std::vector<float> factors(x.row(0), x.row(0) + 33);
  const Weight copied = vector_weight(*ops_, factors);
  Rows y(5, 66);
  ops_->rms_norm(x.view(), copied, 1e-6, y.view());
  ops_->rms_norm(x.view(), copied, 1e-6, x.view());
  EXPECT_TRUE(same_bits(x.view(), y.view()));
}

TEST_P(RowwiseTest, RopeAnglesRoundTheProductToFloatFirst) {
  const std::vector<std::int32_t> positions{0, 1, 77, 8191, 131071};
  const std::vector<float> freq{1.0F, 0.1F, 0.017F, 1e-4F, 0.3333333F};
  Rows angles(positions.size(), 2 * freq.size(), 1);
  ops_->rope_angles(positions, freq, angles.view());
  for (std::size_t t = 0; t < positions.size(); ++t) {
    for (std::size_t i = 0; i < freq.size(); ++i) {
      const float angle = static_cast<float>(positions[t]) * freq[i];
      EXPECT_FLOAT_EQ(angles.row(t)[i], static_cast<float>(std::cos(double{angle})));
      EXPECT_FLOAT_EQ(angles.row(t)[freq.size() + i], static_cast<float>(std::sin(double{angle})));
    }
  }
}

TEST_P(RowwiseTest, RopeTurnsPairsAndLeavesTheRest) {
  const std::size_t dim = 20;
  const std::size_t rotated = 12;
  for (const RopeLayout layout : {RopeLayout::kHalves, RopeLayout::kInterleaved}) {
    Rows angles = Rows::random(9, rotated, random_);
    Rows x = Rows::random(9, 3 * dim, random_, 2);
    Rows before = x;
    ops_->rope(x.view(), angles.view(), dim, layout);
    Rows want = before;
    for (std::size_t t = 0; t < 9; ++t) {
      for (std::size_t i = 0; i < 3 * rotated / 2; ++i) {
        const std::size_t pair = i % (rotated / 2);
        const std::size_t head = i / (rotated / 2) * dim;
        const std::size_t a = head + (layout == RopeLayout::kHalves ? pair : 2 * pair);
        const std::size_t b = layout == RopeLayout::kHalves ? a + rotated / 2 : a + 1;
        const double c = angles.row(t)[pair];
        const double s = angles.row(t)[rotated / 2 + pair];
        want.row(t)[a] = static_cast<float>(before.row(t)[a] * c - before.row(t)[b] * s);
        want.row(t)[b] = static_cast<float>(before.row(t)[a] * s + before.row(t)[b] * c);
      }
    }
    // Two products of numbers below 1 and their sum: at most four roundings of a number below 2.
    EXPECT_TRUE(near(x.view(), want.view(), [](std::size_t, std::size_t) { return 8 * kEps; }));
    for (std::size_t t = 0; t < 9; ++t) EXPECT_EQ(x.row(t)[rotated], before.row(t)[rotated]);
    EXPECT_TRUE(x.gaps_intact());
  }
}

TEST_P(RowwiseTest, SiluMulGatesEachElement) {
  Rows gate = Rows::random(40, 1003, random_, 1);
  Rows up = Rows::random(40, 1003, random_, 2);
  for (std::size_t c = 0; c < 1003; ++c) gate.row(1)[c] *= 20;
  const std::vector<float> extremes{0, -0.0F, 87, -87, 88, -88, 100, -100, 1e30F, -1e30F};
  std::copy(extremes.begin(), extremes.end(), gate.row(0));
  Rows want(40, 1003);
  for (std::size_t t = 0; t < 40; ++t) {
    for (std::size_t c = 0; c < 1003; ++c) {
      const double g = gate.row(t)[c];
      want.row(t)[c] = static_cast<float>(g / (1 + std::exp(-g)) * up.row(t)[c]);
    }
  }
  Rows y(40, 1003, 3);
  ops_->silu_mul(gate.view(), up.view(), y.view());
  // The exponential of the vector backend stops at e^88, which leaves |g| * 1e-38 instead of zero.
  const auto bound = [&](std::size_t r, std::size_t c) {
    return 10 * kEps * std::abs(want.row(r)[c]) + 2e-38 * std::abs(gate.row(r)[c]);
  };
  EXPECT_TRUE(near(y.view(), want.view(), bound));
  EXPECT_TRUE(y.gaps_intact());
  ops_->silu_mul(gate.view(), up.view(), gate.view());
  EXPECT_TRUE(same_bits(gate.view(), y.view()));
}

TEST_P(RowwiseTest, AddIsOneRounding) {
  Rows x = Rows::random(60, 701, random_, 1);
  Rows y = Rows::random(60, 701, random_, 4);
  Rows want(60, 701);
  for (std::size_t t = 0; t < 60; ++t) {
    for (std::size_t c = 0; c < 701; ++c) want.row(t)[c] = x.row(t)[c] + y.row(t)[c];
  }
  ops_->add(x.view(), y.view());
  EXPECT_TRUE(same_bits(y.view(), want.view()));
  EXPECT_TRUE(y.gaps_intact());
}

std::uint16_t half_at(const std::vector<std::uint8_t>& bytes, std::size_t index) {
  return static_cast<std::uint16_t>(bytes[2 * index] | bytes[2 * index + 1] << 8U);
}

TEST_P(RowwiseTest, SummarizeIsTheLogOfTheSumOfExponentials) {
  for (const std::size_t size : {1, 2, 15, 16, 17, 70, 4095, 4096, 4097, 9000}) {
    Rows x = Rows::random(5, size, random_, 3);
    std::vector<RowSummary> got(5);
    ops_->summarize(x.view(), got);
    for (std::size_t t = 0; t < 5; ++t) {
      const std::span<const float> row(x.row(t), size);
      double sum = 0;
      for (const float value : row) sum += std::exp(double{value});
      const auto top = std::max_element(row.begin(), row.end());
      EXPECT_EQ(got[t].top, top - row.begin()) << size;
      EXPECT_EQ(got[t].largest, *top) << size;
      // An exponential is off by some units in the last place, and each of a few chains of sums by
      // half a unit a term: at most size / 16 terms at the shortest vectors, on average far fewer.
      const double relative = (8 + static_cast<double>(size) / 16) * kEps;
      const double log_sum = std::log(sum) - *top;
      EXPECT_NEAR(got[t].log_sum, log_sum, relative + kEps * log_sum);
    }
  }
}

TEST_P(RowwiseTest, SummarizeTakesTheFirstAmongEquals) {
  for (const std::size_t at : {0, 3, 40, 4096, 8999}) {
    Rows x = Rows::random(1, 9000, random_);
    x.row(0)[at] = x.row(0)[8999] = 77;
    RowSummary got;
    ops_->summarize(x.view(), {&got, 1});
    EXPECT_EQ(got.top, static_cast<std::int32_t>(at));
    EXPECT_EQ(got.largest, 77);
  }
}

TEST_P(RowwiseTest, SummarizeSurvivesLogitsThatOverflowAnExponential) {
  Rows x(1, 40);
  std::fill_n(x.row(0), 40, -3e38F);
  x.row(0)[7] = 1000;
  x.row(0)[39] = 1000;
  RowSummary got;
  ops_->summarize(x.view(), {&got, 1});
  EXPECT_EQ(got.top, 7);
  EXPECT_NEAR(got.log_sum, std::log(2.0), 1e-6);
}

TEST_P(RowwiseTest, AppendedRowsAreRoundedToNearestEven) {
  const std::size_t dim = 19;
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    CachedRows cache(dtype, 2, dim, 9);
    Rows k = Rows::random(3, 2 * dim, random_, 1);
    Rows v = Rows::random(3, 2 * dim, random_, 2);
    // Ties, subnormals of float16, overflow.
    const std::vector<float> hard{1.00048828125F, 1.00146484375F, 1.00390625F, 1.01171875F, 3e-6F,
                                  2.98023224e-8F, 65519.0F,       65520.0F,    -1e9F};
    std::copy(hard.begin(), hard.end(), k.row(1));
    ops_->append_rows(k.view(), v.view(), std::vector<std::int32_t>{5, 8, 9}, cache.store(), 4);
    const auto narrow = dtype == DType::kF16 ? f32_to_f16 : f32_to_bf16;
    for (std::size_t h = 0; h < 2; ++h) {
      for (std::size_t i = 0; i < 3 * dim; ++i) {
        const std::size_t at = (h * 9 + 4) * dim + i;
        EXPECT_EQ(half_at(cache.keys(), at), narrow(k.row(i / dim)[h * dim + i % dim])) << i;
        EXPECT_EQ(half_at(cache.values(), at), narrow(v.row(i / dim)[h * dim + i % dim])) << i;
      }
      EXPECT_EQ(half_at(cache.keys(), (h * 9 + 4) * dim - 1), 0xFFFF) << "wrote before its rows";
      EXPECT_EQ(half_at(cache.keys(), (h * 9 + 7) * dim), 0xFFFF) << "wrote behind its rows";
    }
    EXPECT_EQ(cache.positions(), (std::vector<std::int32_t>{-1, -1, -1, -1, 5, 8, 9, -1, -1}));
  }
}

TEST_P(RowwiseTest, UploadAndDownloadAreCopies) {
  const std::vector<float> values{1, 2, 3, 4, 5};
  const Buffer buffer = ops_->allocate(values.size() * sizeof(float));
  EXPECT_EQ(buffer.bytes(), values.size() * sizeof(float));
  ops_->upload(buffer.data(), values.data(), buffer.bytes());
  std::vector<float> back(values.size());
  ops_->download(back.data(), buffer.data(), buffer.bytes());
  EXPECT_EQ(back, values);
  EXPECT_EQ(ops_->allocate(0).data(), nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0U);
}

INSTANTIATE_TEST_SUITE_P(Backends, RowwiseTest, testing::ValuesIn(all_backends()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace varve::test
