#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "tests/kernels/fixtures.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

using Case = std::tuple<std::string, DType>;

class LinearTest : public testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Ops> ops_ = test_ops(std::get<0>(GetParam()), 2);
  DType dtype_ = std::get<1>(GetParam());

  // A valid number of columns near `wanted`.
  std::size_t cols(std::size_t wanted) const {
    const std::size_t block = dtype_info(dtype_).block_size;
    return block == 1 ? wanted : (wanted + block - 1) / block * block;
  }
};

struct Exact {
  std::vector<double> value;      // [T * N]
  std::vector<double> magnitude;  // sum of absolute products, plus that of the bias
};

Exact multiply(const ConstMatrix& x, const std::vector<float>& w, std::size_t outputs,
               const std::vector<float>& bias) {
  Exact exact;
  for (std::size_t t = 0; t < x.rows; ++t) {
    for (std::size_t n = 0; n < outputs; ++n) {
      double sum = bias.empty() ? 0 : bias[n];
      double magnitude = std::abs(sum);
      for (std::size_t k = 0; k < x.cols; ++k) {
        const double product = double{x.row(t)[k]} * w[n * x.cols + k];
        sum += product;
        magnitude += std::abs(product);
      }
      exact.value.push_back(sum);
      exact.magnitude.push_back(magnitude);
    }
  }
  return exact;
}

// A sum of K products in any order is off by at most K + 2 roundings of the sum of magnitudes (the
// classical bound, Higham, Accuracy and Stability, 3.1); instruction sets without fused
// multiply-add round each product and each decoded weight once more.
//
// Split products: a bfloat16 has 8 significant bits, so x = x_hi + x_lo + e with |x_lo| <= 2^-8 |x|
// and |e| <= 2^-16 |x|, w likewise. What x_hi w_hi + x_hi w_lo + x_lo w_hi leaves out of x w is
// x_lo w_lo, e w and x e': 3 * 2^-16, where a rounding seldom takes all that it may. A sum then has
// three products where there was one, and a tile of 32 k adds one rounding for each of the three
// and one for the two halves that it keeps.
//
// A backend that rounds both factors to 16 bits adds a roundoff for each.
void expect_product(Ops& ops, DType dtype, std::size_t rows, std::size_t outputs, std::size_t cols,
                    bool with_bias, Products products = Products::kFloat) {
  SCOPED_TRACE(testing::Message() << rows << " rows, " << outputs << " outputs, " << cols
                                  << " cols");
  Random random(rows * 31 + outputs * 7 + cols);
  const StoredWeight stored(dtype, outputs, cols, random);
  const Weight w = ops.prepare(stored.view());
  std::vector<float> bias(with_bias ? outputs : 0);
  for (float& value : bias) value = random.real();
  const Weight b = with_bias ? vector_weight(ops, bias) : Weight{};
  Rows x = Rows::random(rows, cols, random, 3);
  Rows y(rows, outputs, 5);
  ops.linear(x.view(), {w, y.view(), with_bias ? &b : nullptr}, products);

  const Exact exact = multiply(x.view(), stored.decoded(), outputs, bias);
  Rows want(rows, outputs);
  for (std::size_t i = 0; i < exact.value.size(); ++i) {
    want.row(i / outputs)[i % outputs] = static_cast<float>(exact.value[i]);
  }
  const bool split = products == Products::kSplit;
  const double roundings = static_cast<double>(split ? 4 * cols + 8 : 2 * cols + 4);
  const double roundoff = product_roundoff(ops);
  const double factors = roundoff == kEps ? 0 : roundoff * (2 + roundoff);
  const double relative = roundings * kEps + factors + (split ? 3 * 0x1p-16 : 0);
  EXPECT_TRUE(near(y.view(), want.view(), [&](std::size_t r, std::size_t c) {
    return relative * exact.magnitude[r * outputs + c];
  }));
  EXPECT_TRUE(y.gaps_intact());
}

TEST_P(LinearTest, MatchesTheSumInDouble) {
  for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 13, 25}) {
    expect_product(*ops_, dtype_, rows, 33, cols(96), false);
  }
}

TEST_P(LinearTest, TakesOddNumbersOfOutputs) {
  for (const std::size_t outputs : {1, 2, 15, 16, 17, 31, 32, 64, 65, 100}) {
    for (const std::size_t rows : {1, 4, 14}) {
      expect_product(*ops_, dtype_, rows, outputs, cols(64), true);
    }
  }
}

TEST_P(LinearTest, TakesOddNumbersOfColumns) {
  // 768 columns are one decoded tile; more cut the sum into several.
  for (const std::size_t wanted : {1, 7, 31, 33, 511, 512, 513, 767, 768, 769, 1600}) {
    for (const std::size_t rows : {1, 9}) {
      expect_product(*ops_, dtype_, rows, 34, cols(wanted), true);
    }
  }
}

TEST_P(LinearTest, DoesNothingForNoRows) {
  expect_product(*ops_, dtype_, 0, 40, cols(32), false);
}

void expect_floats(Ops& ops, DType dtype, std::size_t cols) {
  Random random(8);
  const StoredWeight stored(dtype, 37, cols, random);
  const Weight w = ops.prepare(stored.view());
  for (const std::size_t rows : {1, 40}) {
    const Rows x = Rows::random(rows, cols, random);
    Rows split(rows, 37);
    Rows whole(rows, 37);
    ops.linear(x.view(), {w, split.view()}, Products::kSplit);
    ops.linear(x.view(), {w, whole.view()}, Products::kFloat);
    EXPECT_TRUE(same_bits(split.view(), whole.view())) << rows << " rows";
  }
}

TEST_P(LinearTest, SplitProductsMatchTheSumInDoubleAndAreFloatsWithoutMatrixUnits) {
  if (ops_->describe() != "cpu (amx)") return expect_floats(*ops_, dtype_, cols(96));
  const auto expect = [this](std::size_t rows, std::size_t outputs, std::size_t columns) {
    expect_product(*ops_, dtype_, rows, outputs, cols(columns), true, Products::kSplit);
  };
  for (std::size_t rows = 1; rows <= 67; ++rows) expect(rows, 33, 96);
  for (const std::size_t outputs : {1, 2, 15, 16, 17, 31, 32, 64, 65, 100}) {
    for (const std::size_t rows : {1, 16, 33, 64}) expect(rows, outputs, 64);
  }
  // 576 columns are multiplied at a time.
  for (const std::size_t columns : {1, 2, 7, 31, 33, 63, 575, 576, 577, 609, 1600}) {
    for (const std::size_t rows : {1, 32, 45}) expect(rows, 34, columns);
  }
  // Rows are taken 1024 at a time, panels of 32 outputs several at a time.
  expect(1030, 3, 32);
  expect(35, 640, 600);
}

TEST_P(LinearTest, EmbedsTheStoredRow) {
  Random random(5);
  for (const std::size_t vocab : {1, 2, 31, 70}) {
    const StoredWeight table(dtype_, vocab, cols(300), random);
    const Weight prepared = ops_->prepare(table.view());
    const std::vector<float> decoded = table.decoded();
    std::vector<std::int32_t> tokens(11);
    for (auto& token : tokens) token = static_cast<std::int32_t>(random.below(vocab));
    Rows out(tokens.size(), cols(300), 1);
    Rows want(tokens.size(), cols(300));
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      std::copy_n(decoded.data() + static_cast<std::size_t>(tokens[t]) * cols(300), cols(300),
                  want.row(t));
    }
    ops_->embed(tokens, prepared, out.view());
    // scale * bits is exact but for Q6_K, whose product takes 25 bits; there an instruction set
    // without fused multiply-add rounds once more, at |scale * bits| <= 0.05 * 128 * 64.
    const bool fused = ops_->describe() != "cpu (sse4)" && ops_->describe() != "cpu (scalar)";
    const double bound = dtype_ == DType::kQ6_K && !fused ? 0.05 * 128 * 64 * kEps : 0.0;
    const double stored = product_roundoff(*ops_) == kEps ? 0 : product_roundoff(*ops_);
    EXPECT_TRUE(near(out.view(), want.view(), [&](std::size_t r, std::size_t c) {
      return bound + stored * std::abs(want.row(r)[c]);
    }));
    EXPECT_TRUE(out.gaps_intact());
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, LinearTest,
                         testing::Combine(testing::ValuesIn(all_backends()),
                                          testing::ValuesIn(kAllTypes)),
                         [](const testing::TestParamInfo<Case>& test) {
                           return test_name(std::get<0>(test.param)) + "_" +
                                  std::string(dtype_info(std::get<1>(test.param)).name);
                         });

}  // namespace
}  // namespace varve::test
