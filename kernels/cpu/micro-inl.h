// The inner kernel of every matrix product: C [R, 2 vectors] (+)= A [R, K] B [K, 2 vectors]. Each
// element of C is one chain of multiply-adds in the order of k, so its bits do not depend on R, on
// how K was cut into calls, or on the neighbours. Compiled once per instruction set.
#if defined(VARVE_CPU_MICRO_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_MICRO_INL_H
#undef VARVE_CPU_MICRO_INL_H
#else
#define VARVE_CPU_MICRO_INL_H
#endif

#include <array>
#include <utility>

#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/targets.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

// Accumulators fill the register file: 6 x 2 of 16 registers, 12 x 2 of 32.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
inline constexpr std::size_t kMicroRows = 12;
#else
inline constexpr std::size_t kMicroRows = 6;
#endif
inline constexpr std::size_t kMicroCols = 2 * kLanes;

struct MicroTile {
  std::size_t k;
  const float* a;  // packed: [k][R]; strided: [R][kStride]
  const float* b;  // [k][b_stride]
  std::size_t b_stride;
  float* c;  // [R][c_stride]
  std::size_t c_stride;
  bool accumulate;  // add to C instead of overwriting it
};

/// kStride 0: A is packed [k][R]. Otherwise A is [R][kStride].
template <std::size_t R, std::size_t kStride>
void micro(const MicroTile& t) {
  const TagF d;
  VecF acc[R][2];
  VARVE_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    acc[r][0] = t.accumulate ? hn::LoadU(d, t.c + r * t.c_stride) : hn::Zero(d);
    acc[r][1] = t.accumulate ? hn::LoadU(d, t.c + r * t.c_stride + kLanes) : hn::Zero(d);
  }
  const float* a = t.a;
  const float* b = t.b;
  for (std::size_t k = 0; k < t.k; ++k) {
    const VecF b0 = hn::LoadU(d, b);
    const VecF b1 = hn::LoadU(d, b + kLanes);
    VARVE_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const VecF value = hn::Set(d, a[kStride == 0 ? r : r * kStride]);
      acc[r][0] = hn::MulAdd(value, b0, acc[r][0]);
      acc[r][1] = hn::MulAdd(value, b1, acc[r][1]);
    }
    a += kStride == 0 ? R : 1;
    b += t.b_stride;
  }
  VARVE_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    hn::StoreU(acc[r][0], d, t.c + r * t.c_stride);
    hn::StoreU(acc[r][1], d, t.c + r * t.c_stride + kLanes);
  }
}

using Micro = void (*)(const MicroTile&);

template <std::size_t kStride, std::size_t... kRows>
constexpr std::array<Micro, sizeof...(kRows)> micro_table(std::index_sequence<kRows...>) {
  return {&micro<kRows + 1, kStride>...};
}

/// Entry R - 1 takes R rows.
template <std::size_t kStride>
inline constexpr auto kMicros = micro_table<kStride>(std::make_index_sequence<kMicroRows>());

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
