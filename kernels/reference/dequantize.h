// Any stored element type to float32, one row at a time.
#pragma once

#include <cstddef>

#include "common/dtype.h"

namespace varve {

/// Decodes `elements` values (a multiple of the block size) from `row`, which needs no alignment.
/// Bit-exact to the decoder of the format's own Python package.
void dequantize(DType dtype, const void* row, std::size_t elements, float* out);

}  // namespace varve
