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

/// kVectors vectors of columns. kStride 0: A is packed [k][R]. Otherwise A is [R][kStride].
template <std::size_t R, std::size_t kVectors, std::size_t kStride>
void micro(const MicroTile& t) {
  const TagF d;
  VecF acc[R][kVectors];
  VARVE_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    VARVE_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      acc[r][v] = t.accumulate ? hn::LoadU(d, t.c + r * t.c_stride + v * kLanes) : hn::Zero(d);
    }
  }
  const float* a = t.a;
  const float* b = t.b;
  for (std::size_t k = 0; k < t.k; ++k) {
    VecF row[kVectors];
    VARVE_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, b + v * kLanes);
    VARVE_UNROLL
    for (std::size_t r = 0; r < R; ++r) {
      const VecF value = hn::Set(d, a[kStride == 0 ? r : r * kStride]);
      VARVE_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) {
        acc[r][v] = hn::MulAdd(value, row[v], acc[r][v]);
      }
    }
    a += kStride == 0 ? R : 1;
    b += t.b_stride;
  }
  VARVE_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    VARVE_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(acc[r][v], d, t.c + r * t.c_stride + v * kLanes);
    }
  }
}

using Micro = void (*)(const MicroTile&);

template <std::size_t kVectors, std::size_t kStride, std::size_t... kRows>
constexpr std::array<Micro, sizeof...(kRows)> micro_table(std::index_sequence<kRows...>) {
  return {&micro<kRows + 1, kVectors, kStride>...};
}

/// Entry R - 1 takes R rows and kMicroCols columns.
template <std::size_t kStride>
inline constexpr auto kMicros = micro_table<2, kStride>(std::make_index_sequence<kMicroRows>());

/// Few rows need more columns to have enough chains under way: entry R - 1 takes twice kMicroCols.
inline constexpr std::size_t kWideRows = 3;
template <std::size_t kStride>
inline constexpr auto kWideMicros = micro_table<4, kStride>(std::make_index_sequence<kWideRows>());

/// All of a product of `rows` rows and `cols` columns, a multiple of kMicroCols.
template <std::size_t kStride>
void multiply(std::size_t rows, std::size_t cols, MicroTile tile) {
  for (std::size_t col = 0; col < cols;) {
    const bool wide = rows <= kWideRows && col + 2 * kMicroCols <= cols;
    const Micro run = wide ? kWideMicros<kStride>[rows - 1] : kMicros<kStride>[rows - 1];
    run(tile);
    const std::size_t done = wide ? 2 * kMicroCols : kMicroCols;
    col += done;
    tile.b += done;
    tile.c += done;
  }
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
