// Every stored format against the values of its own Python package (tests/golden/dequantize).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "tests/kernels/fixtures.h"
#include "tests/support/golden.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

using Case = std::tuple<std::string, DType>;

class DequantizeGoldenTest : public testing::TestWithParam<Case> {};

// The instruction sets without fused multiply-add round the 25-bit products of Q6_K.
bool decodes_exactly(const std::string& backend, DType dtype) {
  return dtype != DType::kQ6_K || (backend != "cpu:sse4" && backend != "cpu:scalar");
}

TEST_P(DequantizeGoldenTest, EmbeddingARowGivesItsValues) {
  const std::string backend = std::get<0>(GetParam());
  const DType dtype = std::get<1>(GetParam());
  const DTypeInfo& info = dtype_info(dtype);
  const Golden golden =
      Golden::load(golden_folder() / "dequantize" / (std::string(info.name) + ".safetensors"));
  const auto shape = golden.shape("values");
  ASSERT_EQ(golden.u8("blocks").size(), shape[0] * row_bytes(dtype, shape[1]));
  const std::unique_ptr<Ops> ops = test_ops(backend, 1);
  const Weight table = ops->prepare({golden.u8("blocks").data(), dtype, shape[0], shape[1]});
  std::vector<std::int32_t> tokens(shape[0]);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i);
  Rows got(shape[0], shape[1]);
  ops->embed(tokens, table, got.view());
  const ConstMatrix want{golden.f32("values").data(), shape[0], shape[1], shape[1]};
  EXPECT_TRUE(near(got.view(), want, [&](std::size_t r, std::size_t) {
    if (decodes_exactly(backend, dtype)) return 0.0;
    double most = 0;
    for (std::size_t c = 0; c < want.cols; ++c) {
      most = std::max(most, std::abs(double{want.row(r)[c]}));
    }
    // The product is at most 63 / 31 times the greatest value of the row.
    return 64.0 / 31 * most * kEps;
  }));
}

constexpr DType kGoldenTypes[] = {DType::kF16,  DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                                  DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ4_K,
                                  DType::kQ5_K, DType::kQ6_K};
INSTANTIATE_TEST_SUITE_P(Backends, DequantizeGoldenTest,
                         testing::Combine(testing::ValuesIn(all_backends()),
                                          testing::ValuesIn(kGoldenTypes)),
                         [](const testing::TestParamInfo<Case>& test) {
                           return test_name(std::get<0>(test.param)) + "_" +
                                  std::string(dtype_info(std::get<1>(test.param)).name);
                         });

}  // namespace
}  // namespace varve::test
