// Products with packed weights on a CPU's matrix units (Intel AMX). They multiply bfloat16 numbers,
// so each factor is taken as a sum of two of them, off by up to 2^-16 of itself:
//   x = x_hi + x_lo,  w = w_hi + w_lo,  x w ~ x_hi w_hi + x_hi w_lo + x_lo w_hi
// with sums in float32. A product is off by up to 3 * 2^-16 of itself
// (tests/kernels/linear_test.cc). Each element of y is one chain of instructions in the order of k:
// its bits do not depend on the number of rows, on how K was cut, or on the neighbours. (The three
// products of 32 k come one behind the other. The hardware rounds to nearest and takes numbers
// below 2^-126 as zero.)
#pragma once

#include <cstddef>

#include "kernels/cpu/linear.h"

namespace varve {

/// Whether this machine has them and the system lets this process use them.
bool has_amx();

inline constexpr std::size_t kAmxBlockRows = 32;  // rows of x that amx_pack lays side by side

/// Bytes of x [rows, cols] in packed blocks.
std::size_t amx_packed_bytes(std::size_t rows, std::size_t cols);
/// Blocks [block_begin, block_end) of x; rows and k that fill up the last ones become zero.
void amx_pack(ConstMatrix x, std::size_t block_begin, std::size_t block_end, void* packed);
/// As LinearKernels::gemm; several panels at a time read x once for all of them, as far as a cache
/// holds it. With `decode` of the instruction set that goes with matrix units and `scratch` of
/// amx_scratch_bytes(), aligned as a Buffer.
void amx_gemm(const LinearJob& job, DecodePanel decode, const void* packed, std::size_t panel_begin,
              std::size_t panel_end, void* scratch);
std::size_t amx_scratch_bytes();

}  // namespace varve
