#include "common/cached_rows.h"

namespace varve {

// A block of keys holds as many numbers as a block of values, so both sides are equally large.
std::size_t key_bytes(DType dtype, std::size_t rows, std::size_t head_dim) {
  return stored_rows(dtype, rows) * row_bytes(dtype, head_dim);
}

std::size_t value_bytes(DType dtype, std::size_t rows, std::size_t head_dim) {
  return stored_rows(dtype, rows) * row_bytes(dtype, head_dim);
}

}  // namespace varve
