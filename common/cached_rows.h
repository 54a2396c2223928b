// Bytes of cached rows. The planner adds them up and the worker allocates them, from the same
// functions.
//
// Float formats (f32, f16, bf16) hold keys and values row after row.
// Integer formats (int8, int4, int2) hold 32 numbers as a block: float16 scale, float16 minimum, 32
// codes; a number is code * scale + minimum. With p codes of 8 / p bits in a byte, code i stands in
// byte i % (32 / p), at bit (i / (32 / p)) * (8 / p). A block of values holds 32 channels of a row:
// values are [rows, D / 32] blocks. A block of keys holds one channel of 32 consecutive rows of a
// head, because some channels are large in every row (KIVI, arXiv 2402.02750): keys are
// [rows / 32, D] blocks. So a head's rows begin at a multiple of 32, and its last group takes whole
// storage.
#pragma once

#include <cstddef>

#include "common/dtype.h"

namespace varve {

/// Numbers that share a scale and a minimum in the integer formats.
inline constexpr std::size_t kRowGroup = 32;

/// Whether rows are stored in groups (the integer formats).
constexpr bool is_grouped(DType dtype) {
  return dtype == DType::kInt8 || dtype == DType::kInt4 || dtype == DType::kInt2;
}

/// Rows that `rows` rows of a head take up: for integer formats, whole groups.
constexpr std::size_t stored_rows(DType dtype, std::size_t rows) {
  return is_grouped(dtype) ? (rows + kRowGroup - 1) / kRowGroup * kRowGroup : rows;
}

/// Bytes of one head's keys or values. They add up: heads that lie one behind the other take the
/// sum. For integer formats, head_dim must be a multiple of 32.
std::size_t key_bytes(DType dtype, std::size_t rows, std::size_t head_dim);
std::size_t value_bytes(DType dtype, std::size_t rows, std::size_t head_dim);

}  // namespace varve
