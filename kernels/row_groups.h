// The integer formats of cached rows (common/cached_rows.h), 32 numbers at a time. A decoded number
// is rounded once: code * scale has at most 19 significant bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/cached_rows.h"
#include "common/tensor.h"

namespace varve {

struct GroupFormat {
  std::size_t bits;    // of a code
  std::size_t stride;  // bytes of the codes: code i stands in byte i % stride
  std::size_t bytes;   // of a block: scale, minimum and codes
};

inline constexpr std::size_t kGroupHeader = 4;  // bytes of scale and minimum

constexpr GroupFormat group_format(DType dtype) {
  const std::size_t bits = dtype == DType::kInt8 ? 8 : (dtype == DType::kInt4 ? 4 : 2);
  const std::size_t stride = kRowGroup * bits / 8;
  return {bits, stride, kGroupHeader + stride};
}

/// Encodes x [kRowGroup] as Ops::encode_rows says. The same bits on every machine.
void encode_group(DType dtype, const float* x, std::uint8_t* block);

/// Encodes up to kRowGroup keys [n, D] as one group: D blocks. What is missing of a whole group is
/// filled up with the last key.
void encode_key_group(DType dtype, const ConstMatrix& keys, std::uint8_t* blocks);
/// Encodes values [n, D]: D / kRowGroup blocks for each.
void encode_value_rows(DType dtype, const ConstMatrix& values, std::uint8_t* blocks);

/// Number i of a block.
float decode_code(DType dtype, const std::uint8_t* block, std::size_t i);

}  // namespace varve
