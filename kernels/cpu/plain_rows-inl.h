// Tiles of cached rows in the float formats. Compiled once per instruction set.
#if defined(VARVE_CPU_PLAIN_ROWS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_PLAIN_ROWS_INL_H
#undef VARVE_CPU_PLAIN_ROWS_INL_H
#else
#define VARVE_CPU_PLAIN_ROWS_INL_H
#endif

#include <algorithm>

#include "kernels/cpu/attend_direct-inl.h"
#include "kernels/cpu/attend_run.h"
#include "kernels/cpu/transpose-inl.h"
#include "kernels/reference/dequantize.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

#if VARVE_ATTEND_DIRECT

/// weights [R][kTileKeys] = scores of the keys in (at least) `range`. keys [kTileKeys, dim]
/// encoded, queries [dim][R] scaled.
template <DType kType, std::size_t R>
void score_direct(const std::uint8_t* keys, std::size_t dim, const float* queries,
                  const KeyRange& range, float* weights) {
  // Two squares of keys at a time give 2 R chains.
  constexpr std::size_t kSquares = 2;
  constexpr std::size_t kKeys = kSquares * kTransposed;
  const TagT d;
  const std::size_t bytes = dim * kPlainBytes<kType>;
  for (std::size_t k = range.begin / kKeys * kKeys; k < range.end; k += kKeys) {
    VecT acc[kSquares][R];
    VARVE_UNROLL
    for (std::size_t q = 0; q < kSquares; ++q) {
      VARVE_UNROLL
      for (std::size_t r = 0; r < R; ++r) acc[q][r] = hn::Zero(d);
    }
    const std::uint8_t* rows = keys + k * bytes;
    for (std::size_t i = 0; i < dim; i += kTransposed) {
      prefetch_ahead<kKeys * kTransposed * kPlainBytes<kType>>(rows +
                                                               i * kKeys * kPlainBytes<kType>);
      VARVE_UNROLL
      for (std::size_t q = 0; q < kSquares; ++q) {
        VecT block[kTransposed];
        load_transposed<kType, true>(rows + q * kTransposed * bytes + i * kPlainBytes<kType>, bytes,
                                     kTransposed, block);
        VARVE_UNROLL
        for (std::size_t j = 0; j < kTransposed; ++j) {
          VARVE_UNROLL
          for (std::size_t r = 0; r < R; ++r) {
            const VecT query = hn::Set(d, queries[(i + j) * R + r]);
            acc[q][r] = hn::MulAdd(query, block[j], acc[q][r]);
          }
        }
      }
    }
    VARVE_UNROLL
    for (std::size_t q = 0; q < kSquares; ++q) {
      VARVE_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        hn::StoreU(acc[q][r], d, weights + r * kTileKeys + k + q * kTransposed);
      }
    }
  }
}

/// kVectors vectors of columns of out [R][out_stride] += weights [R][kTileKeys] values.
template <DType kType, std::size_t R, std::size_t kVectors>
HWY_INLINE void add_columns(const std::uint8_t* values, std::size_t bytes, const float* weights,
                            const KeyRange& range, float* out, std::size_t out_stride) {
  const TagF d;
  VecF acc[R][kVectors];
  VARVE_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    VARVE_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      acc[r][v] = hn::LoadU(d, out + r * out_stride + v * kLanes);
    }
  }
  for (std::size_t k = range.begin; k < range.end; ++k) {
    const std::uint8_t* from = values + k * bytes;
    prefetch_ahead<kVectors * kLanes * kPlainBytes<kType>>(from);
    VARVE_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      const VecF value = load_plain<kType>(d, from + v * kLanes * kPlainBytes<kType>);
      VARVE_UNROLL
      for (std::size_t r = 0; r < R; ++r) {
        acc[r][v] = hn::MulAdd(hn::Set(d, weights[r * kTileKeys + k]), value, acc[r][v]);
      }
    }
  }
  VARVE_UNROLL
  for (std::size_t r = 0; r < R; ++r) {
    VARVE_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(acc[r][v], d, out + r * out_stride + v * kLanes);
    }
  }
}

/// out [R][out_stride] += weights [R][kTileKeys] times the values [kTileKeys, dim] in `range`.
template <DType kType, std::size_t R>
void add_values_direct(const std::uint8_t* values, std::size_t dim, const float* weights,
                       const KeyRange& range, float* out, std::size_t out_stride) {
  constexpr std::size_t kMany = R < 4 ? 4 : 2;
  const std::size_t bytes = dim * kPlainBytes<kType>;
  std::size_t i = 0;
  for (; i + kMany * kLanes <= dim; i += kMany * kLanes) {
    add_columns<kType, R, kMany>(values + i * kPlainBytes<kType>, bytes, weights, range, out + i,
                                 out_stride);
  }
  for (; i < dim; i += kLanes) {
    add_columns<kType, R, 1>(values + i * kPlainBytes<kType>, bytes, weights, range, out + i,
                             out_stride);
  }
}

#endif  // VARVE_ATTEND_DIRECT

/// `count` values, which may be less than a vector at the end.
template <DType kType>
HWY_INLINE void decode_flat(const std::uint8_t* from, std::size_t count, float* to) {
  const TagF d;
  std::size_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    prefetch_ahead<4 * kLanes * kPlainBytes<kType>>(from + i * kPlainBytes<kType>);
    VARVE_UNROLL
    for (std::size_t v = 0; v < 4; ++v) {
      const std::size_t at = i + v * kLanes;
      hn::StoreU(load_plain<kType>(d, from + at * kPlainBytes<kType>), d, to + at);
    }
  }
  if (i < count) dequantize(kType, from + i * kPlainBytes<kType>, count - i, to + i);
}

/// How attend_run.cc reads rows of one format.
template <DType kType>
struct PlainRows {
  /// Keys [range) of a tile of `count` keys, transposed to [dim][kTileKeys].
  static void decode_keys(const std::uint8_t* keys, std::size_t count, const KeyRange& range,
                          std::size_t dim, float* out) {
    const std::size_t bytes = dim * kPlainBytes<kType>;
    for (std::size_t k = range.begin / kTransposed * kTransposed; k < range.end; k += kTransposed) {
      transpose<kType>(keys + k * bytes, bytes, std::min(kTransposed, count - k), dim, out + k,
                       kTileKeys);
    }
  }

  /// The first `rows` rows of values, to [rows][stride]; what a row lacks of its stride is zero.
  static void decode_values(const std::uint8_t* values, std::size_t rows, std::size_t dim,
                            float* out, std::size_t stride) {
    if (stride == dim) return decode_flat<kType>(values, rows * dim, out);
    for (std::size_t k = 0; k < rows; ++k, out += stride) {
      decode_flat<kType>(values + k * dim * kPlainBytes<kType>, dim, out);
      std::fill(out + dim, out + stride, 0.0F);
    }
  }

#if VARVE_ATTEND_DIRECT
  template <std::size_t R>
  static void score(const std::uint8_t* keys, std::size_t dim, const float* queries,
                    const KeyRange& range, float* weights) {
    score_direct<kType, R>(keys, dim, queries, range, weights);
  }
  template <std::size_t R>
  static void add_values(const std::uint8_t* values, std::size_t dim, const float* weights,
                         const KeyRange& range, float* out, std::size_t out_stride) {
    add_values_direct<kType, R>(values, dim, weights, range, out, out_stride);
  }
#endif
};

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
