// Rows of cached keys, decoded and transposed. Compiled once per instruction set.
#if defined(VARVE_CPU_TRANSPOSE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_TRANSPOSE_INL_H
#undef VARVE_CPU_TRANSPOSE_INL_H
#else
#define VARVE_CPU_TRANSPOSE_INL_H
#endif

#include <array>

#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/targets.h"
#include "kernels/reference/dequantize.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

// Eight by eight suits the 24 shuffles of AVX2; wider vectors would need more levels for no gain.
using TagT = hn::CappedTag<float, 8>;
using VecT = hn::Vec<TagT>;
inline constexpr std::size_t kTransposed = hn::MaxLanes(TagT());

#if HWY_TARGET == HWY_SCALAR

HWY_INLINE void transpose_square(VecT* /*rows*/) {}

#else

/// Four rows, transposed inside each block of 128 bits: out[i] holds element i of the four rows, in
/// the upper half (if there is one) element i + 4.
HWY_INLINE void transpose_quarters(const VecT* rows, VecT* out) {
  const TagT d;
  const hn::RepartitionToWide<hn::RebindToUnsigned<TagT>> wide;
  const auto a = hn::BitCast(wide, hn::InterleaveLower(d, rows[0], rows[1]));
  const auto b = hn::BitCast(wide, hn::InterleaveLower(d, rows[2], rows[3]));
  const auto c = hn::BitCast(wide, hn::InterleaveUpper(d, rows[0], rows[1]));
  const auto e = hn::BitCast(wide, hn::InterleaveUpper(d, rows[2], rows[3]));
  out[0] = hn::BitCast(d, hn::InterleaveLower(wide, a, b));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(wide, a, b));
  out[2] = hn::BitCast(d, hn::InterleaveLower(wide, c, e));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(wide, c, e));
}

/// Transposes kTransposed vectors in place.
HWY_INLINE void transpose_square(VecT* rows) {
  VecT low[4];
  transpose_quarters(rows, low);
  if constexpr (kTransposed == 4) {
    VARVE_UNROLL
    for (std::size_t i = 0; i < 4; ++i) rows[i] = low[i];
  } else {
    const TagT d;
    VecT high[4];
    transpose_quarters(rows + 4, high);
    VARVE_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {
      rows[i] = hn::ConcatLowerLower(d, high[i], low[i]);
      rows[i + 4] = hn::ConcatUpperUpper(d, high[i], low[i]);
    }
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

/// kTransposed elements of the first `count` rows; zeros for the other rows. block[i] holds element
/// i of all.
template <DType kType, bool kAll>
HWY_INLINE void load_transposed(const std::uint8_t* rows, std::size_t bytes, std::size_t count,
                                VecT* block) {
  const TagT d;
  VARVE_UNROLL
  for (std::size_t r = 0; r < kTransposed; ++r) {
    block[r] = kAll || r < count ? load_plain<kType>(d, rows + r * bytes) : hn::Zero(d);
  }
  transpose_square(block);
}

/// The first `count` of kTransposed rows that are `bytes` apart, `dim` elements each, become
/// columns [0, kTransposed) of out [dim, stride]; the other columns become zero.
template <DType kType>
void transpose(const std::uint8_t* rows, std::size_t bytes, std::size_t count, std::size_t dim,
               float* out, std::size_t stride) {
  std::size_t i = 0;
  for (; i + kTransposed <= dim; i += kTransposed) {
    const std::uint8_t* from = rows + i * kPlainBytes<kType>;
    prefetch_ahead<kTransposed * kTransposed * kPlainBytes<kType>>(rows + i * kTransposed *
                                                                              kPlainBytes<kType>);
    VecT block[kTransposed];
    if (count == kTransposed) {
      load_transposed<kType, true>(from, bytes, count, block);
    } else {
      load_transposed<kType, false>(from, bytes, count, block);
    }
    VARVE_UNROLL
    for (std::size_t j = 0; j < kTransposed; ++j) {
      hn::StoreU(block[j], TagT(), out + (i + j) * stride);
    }
  }
  for (; i < dim; ++i) {
    for (std::size_t r = 0; r < kTransposed; ++r) {
      float* to = out + i * stride + r;
      *to = 0;
      if (r < count) dequantize(kType, rows + r * bytes + i * kPlainBytes<kType>, 1, to);
    }
  }
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
