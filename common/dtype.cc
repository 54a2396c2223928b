#include "common/dtype.h"

#include <array>

#include "common/error.h"

namespace varve {
namespace {

constexpr std::array kInfos = {
    DTypeInfo{DType::kF32, "f32", 1, 4},       DTypeInfo{DType::kF16, "f16", 1, 2},
    DTypeInfo{DType::kBF16, "bf16", 1, 2},     DTypeInfo{DType::kQ4_0, "q4_0", 32, 18},
    DTypeInfo{DType::kQ4_1, "q4_1", 32, 20},   DTypeInfo{DType::kQ5_0, "q5_0", 32, 22},
    DTypeInfo{DType::kQ5_1, "q5_1", 32, 24},   DTypeInfo{DType::kQ8_0, "q8_0", 32, 34},
    DTypeInfo{DType::kQ4_K, "q4_k", 256, 144}, DTypeInfo{DType::kQ5_K, "q5_k", 256, 176},
    DTypeInfo{DType::kQ6_K, "q6_k", 256, 210}, DTypeInfo{DType::kInt8, "int8", 32, 36},
    DTypeInfo{DType::kInt4, "int4", 32, 20},   DTypeInfo{DType::kInt2, "int2", 32, 12},
};

}  // namespace

const DTypeInfo& dtype_info(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype);
  VARVE_CHECK(index < kInfos.size(), "dtype {} of {}", index, kInfos.size());
  return kInfos[index];
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeInfo& info : kInfos) {
    if (info.name == name) return info.dtype;
  }
  return std::nullopt;
}

std::size_t row_bytes(DType dtype, std::size_t elements) {
  const DTypeInfo& info = dtype_info(dtype);
  VARVE_CHECK(elements % info.block_size == 0, "{} elements in {} blocks of {}", elements,
              info.name, info.block_size);
  return elements / info.block_size * info.block_bytes;
}

}  // namespace varve
