// Element types of weights, activations and cached rows. Block types follow GGUF: a row of K
// elements is K / block_size blocks of block_bytes bytes each. kInt8, kInt4 and kInt2 are formats
// of cached rows alone (common/cached_rows.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace varve {

enum class DType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kInt8,
  kInt4,
  kInt2,
};

struct DTypeInfo {
  DType dtype;
  std::string_view name;    // as users write it: "f32", "q4_1"
  std::size_t block_size;   // elements per block (1 for plain types)
  std::size_t block_bytes;  // bytes per block
};

const DTypeInfo& dtype_info(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);

/// Bytes of one row of `elements`, which must be a multiple of the block size.
std::size_t row_bytes(DType dtype, std::size_t elements);

}  // namespace varve
