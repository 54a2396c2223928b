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

HWY_INLINE void store_transposed(const VecT* rows, float* out, std::size_t /*stride*/) {
  hn::StoreU(rows[0], TagT(), out);
}

#else

/// Four rows, transposed inside each block of 128 bits: out[i] holds element i of the four rows, in
/// the upper half (if there is one) element i + 4.
HWY_INLINE void transpose_quarters(const VecT* rows, VecT* out) {
  const TagT d;
  const hn::RepartitionToWide<hn::RebindToUnsigned<TagT> > wide;
  const auto a = hn::BitCast(wide, hn::InterleaveLower(d, rows[0], rows[1]));
  const auto b = hn::BitCast(wide, hn::InterleaveLower(d, rows[2], rows[3]));
  const auto c = hn::BitCast(wide, hn::InterleaveUpper(d, rows[0], rows[1]));
  const auto e = hn::BitCast(wide, hn::InterleaveUpper(d, rows[2], rows[3]));
  out[0] = hn::BitCast(d, hn::InterleaveLower(wide, a, b));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(wide, a, b));
  out[2] = hn::BitCast(d, hn::InterleaveLower(wide, c, e));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(wide, c, e));
}

/// rows [kTransposed][kTransposed] to `out`, whose rows are `stride` apart.
HWY_INLINE void store_transposed(const VecT* rows, float* out, std::size_t stride) {
  const TagT d;
  VecT low[4];
  transpose_quarters(rows, low);
  if constexpr (kTransposed == 4) {
    VARVE_UNROLL
    for (std::size_t i = 0; i < 4; ++i) hn::StoreU(low[i], d, out + i * stride);
  } else {
    VecT high[4];
    transpose_quarters(rows + 4, high);
    VARVE_UNROLL
    for (std::size_t i = 0; i < 4; ++i) {
      hn::StoreU(hn::ConcatLowerLower(d, high[i], low[i]), d, out + i * stride);
      hn::StoreU(hn::ConcatUpperUpper(d, high[i], low[i]), d, out + (i + 4) * stride);
    }
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

/// The first `count` <= kTransposed of rows that are `bytes` apart, `dim` elements each, become
/// columns [0, kTransposed) of out [dim, stride]; columns from `count` on become zero.
template <DType kType>
void transpose(const std::uint8_t* rows, std::size_t bytes, std::size_t count, std::size_t dim,
               float* out, std::size_t stride) {
  constexpr std::size_t kBytes = kType == DType::kF32 ? 4 : 2;
  const TagT d;
  std::size_t i = 0;
  for (; i + kTransposed <= dim; i += kTransposed) {
    VecT block[kTransposed];
    VARVE_UNROLL
    for (std::size_t r = 0; r < kTransposed; ++r) {
      block[r] = r < count ? load_plain<kType>(d, rows + r * bytes + i * kBytes) : hn::Zero(d);
    }
    store_transposed(block, out + i * stride, stride);
  }
  for (; i < dim; ++i) {
    for (std::size_t r = 0; r < kTransposed; ++r) {
      out[i * stride + r] = 0;
      if (r < count) dequantize(kType, rows + r * bytes + i * kBytes, 1, out + i * stride + r);
    }
  }
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
