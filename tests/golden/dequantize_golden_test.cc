// Every stored type on every backend against the gguf package's own decoder: equal values.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernels/ops.h"
#include "tests/support/golden.h"

namespace varve {
namespace {

constexpr std::array kTypes = {DType::kF16,  DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                               DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ4_K,
                               DType::kQ5_K, DType::kQ6_K};

class DequantizeGolden : public ::testing::TestWithParam<std::tuple<DType, std::string>> {};

// Embedding rows is how a backend shows what it decodes.
TEST_P(DequantizeGolden, EqualsTheGgufPackage) {
  const auto& [dtype, backend] = GetParam();
  const std::string file = std::string(dtype_info(dtype).name) + ".safetensors";
  const Golden golden = Golden::load(golden_folder() / "dequantize" / file);
  const std::size_t rows = golden.shape("values")[0];
  const std::size_t columns = golden.shape("values")[1];
  ASSERT_EQ(golden.u8("blocks").size(), rows * row_bytes(dtype, columns));

  const auto ops = make_ops(backend, 1);
  const Weight table = ops->prepare({golden.u8("blocks").data(), dtype, rows, columns});
  const std::array<std::int32_t, 4> all{0, 1, 2, 3};
  ASSERT_EQ(rows, all.size());
  std::vector<float> decoded(rows * columns);
  ops->embed(all, table, {decoded.data(), rows, columns, columns});

  const auto expected = golden.f32("values");
  const auto [ours, theirs] = std::mismatch(decoded.begin(), decoded.end(), expected.begin());
  EXPECT_EQ(ours, decoded.end()) << "element " << ours - decoded.begin() << " is " << *ours
                                 << ", the package says " << *theirs;
}

INSTANTIATE_TEST_SUITE_P(Types, DequantizeGolden,
                         ::testing::Combine(::testing::ValuesIn(kTypes),
                                            ::testing::Values("reference", "cpu")),
                         [](const auto& test) {
                           return std::string(dtype_info(std::get<0>(test.param)).name) + "_" +
                                  std::get<1>(test.param);
                         });

}  // namespace
}  // namespace varve
