// ldmatrix and mma.
#pragma once

#include <cstdint>

#include "tests/cuda_on_cpu/emulator/place.h"

namespace varve::emulator {

/// What one lane brings to ldmatrix: a row of 8 numbers of 16 bits, and room for its fragment.
struct MatrixRow {
  std::uint32_t row[4];
  std::uint32_t* fragment;  // four
};

/// Whether 16 bytes can be read there: aligned, and in the block's shared memory.
void check_matrix_row(const void* row, Place at);
void load_matrices(MatrixRow& mine, bool transposed, Place at);

enum class Format { kBfloat16, kFloat16 };

/// What one lane brings to mma: D += A B, m16n8k16.
struct Fragments {
  float* d;                // four
  const std::uint32_t* a;  // four
  std::uint32_t b[2];
};

/// Products are added in float, in the order of k.
void multiply(Fragments& mine, Format format, Place at);

}  // namespace varve::emulator
