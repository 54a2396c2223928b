// The words of kernels/cuda/gpu.h that threads say, emulated.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "tests/cuda_on_cpu/emulator/async_copy.h"
#include "tests/cuda_on_cpu/emulator/builtins.h"
#include "tests/cuda_on_cpu/emulator/matrix.h"
#include "tests/cuda_on_cpu/emulator/shared_memory.h"

#define VARVE_DYNAMIC_SHARED(name) unsigned char* const name = ::varve::emulator::dynamic_shared()

namespace varve::gpu {

// Like ex2.approx.ftz: no result below the normal numbers.
inline float exp2_fast(float x) {
  const float y = std::exp2(x);
  return y < std::numeric_limits<float>::min() ? 0.0F : y;
}

inline std::uint32_t pack_bf16(float lo, float hi) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(lo, hi);
  std::uint32_t bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}

inline std::uint32_t pack_f16(float lo, float hi) {
  const __half2 pair = __floats2half2_rn(lo, hi);
  std::uint32_t bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}

inline void cp_async16(void* shared, const void* global, unsigned filled = 16, VARVE_EMULATOR_AT) {
  const emulator::AsyncCopy copy{static_cast<unsigned char*>(shared),
                                 static_cast<const unsigned char*>(global), filled};
  if (emulator::begin_copy(copy, at)) {
    copy.land();
  } else {
    copy.make_undefined();
  }
}

inline void cp_async_commit() {
  emulator::commit_copies();
}

template <int Pending>
void cp_async_wait() {
  static_assert(Pending >= 0);
  while (const emulator::AsyncCopy* copy = emulator::next_landing(Pending)) copy->land();
}

template <bool Transposed>
void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, VARVE_EMULATOR_AT) {
  emulator::check_matrix_row(row, at);
  emulator::MatrixRow mine{{}, r};
  std::memcpy(mine.row, row, sizeof mine.row);  // here, so that the sanitizers see who reads what
  emulator::load_matrices(mine, Transposed, at);
}

inline void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                     VARVE_EMULATOR_AT) {
  emulator::Fragments mine{d, a, {b0, b1}};
  emulator::multiply(mine, emulator::Format::kBfloat16, at);
}

inline void mma_f16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                    VARVE_EMULATOR_AT) {
  emulator::Fragments mine{d, a, {b0, b1}};
  emulator::multiply(mine, emulator::Format::kFloat16, at);
}

}  // namespace varve::gpu
