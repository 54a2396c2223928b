// Vector types and small functions that all kernels share. Compiled once per instruction set.
#if defined(VARVE_CPU_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_SIMD_INL_H
#undef VARVE_CPU_SIMD_INL_H
#else
#define VARVE_CPU_SIMD_INL_H
#endif

#include <cstddef>
#include <cstdint>

#include "common/dtype.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using TagF = hn::ScalableTag<float>;
using TagI = hn::RebindToSigned<TagF>;
using TagU = hn::RebindToUnsigned<TagF>;
using VecF = hn::Vec<TagF>;
using VecU = hn::Vec<TagU>;

inline constexpr std::size_t kLanes = hn::MaxLanes(TagF());

/// Lanes(d) float16 values as float32. `from` needs no alignment.
template <class D>
HWY_INLINE hn::Vec<D> load_f16(D d, const void* from) {
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(d, hn::LoadU(half, static_cast<const hwy::float16_t*>(from)));
}

/// Lanes(d) bfloat16 values as float32.
template <class D>
HWY_INLINE hn::Vec<D> load_bf16(D d, const void* from) {
  const hn::RebindToUnsigned<D> wide;
  const hn::Rebind<std::uint16_t, D> half;
  const auto bits = hn::PromoteTo(wide, hn::LoadU(half, static_cast<const std::uint16_t*>(from)));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

/// Asks for the kBytes that stand some thousand bytes behind `from`. Attention reads its cache in
/// bursts between which it computes, so the hardware's own prefetching is late.
template <std::size_t kBytes>
HWY_INLINE void prefetch_ahead(const std::uint8_t* from) {
  constexpr std::size_t kLine = 64;
  constexpr std::size_t kDistance = 2048;
  for (std::size_t i = 0; i < kBytes; i += kLine) hwy::Prefetch(from + kDistance + i);
}

template <DType kType>
inline constexpr std::size_t kPlainBytes = kType == DType::kF32 ? 4 : 2;

/// Lanes(d) values of a plain type as float32.
template <DType kType, class D>
HWY_INLINE hn::Vec<D> load_plain(D d, const void* from) {
  if constexpr (kType == DType::kF16) return load_f16(d, from);
  if constexpr (kType == DType::kBF16) return load_bf16(d, from);
  if constexpr (kType == DType::kF32) return hn::LoadU(d, static_cast<const float*>(from));
}

/// kLanes small integers (std::uint8_t or std::int8_t) as float32.
template <class T>
HWY_INLINE VecF load_bytes(const void* from) {
  const hn::Rebind<T, TagF> bytes;
  const auto wide = hn::PromoteTo(TagI(), hn::LoadU(bytes, static_cast<const T*>(from)));
  return hn::ConvertTo(TagF(), wide);
}

/// 2^x to about one unit in the last place for x in [-126, 127]; 0 at -127 and below (also for
/// -infinity), off by less than 2^-126 between. A polynomial with relative error 2e-8 and value 1
/// at 0 (least maximum error, fitted by iterated reweighting).
HWY_INLINE VecF exp2_approx(VecF x) {
  const TagF d;
  x = hn::Max(x, hn::Set(d, -127.0F));
  const VecF n = hn::Round(x);
  const VecF r = hn::Sub(x, n);
  VecF p = hn::Set(d, 0.00015353361959569156F);
  p = hn::MulAdd(p, r, hn::Set(d, 0.0013398875016719103F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0096184369176626205F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.055503323674201965F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.24022647738456726F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.69314718246459961F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  // At -127 the exponent of 1 reaches 0, and nothing is left of the bits.
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(TagI(), n));
  return hn::BitCast(d, hn::Add(hn::BitCast(TagI(), p), exponent));
}

/// e^x to about one unit in the last place for x in [-87, 88]; 0 below (also for -infinity), e^88
/// above. Cody-Waite reduction by ln 2 and a polynomial with relative error 3e-9 (least maximum
/// error, fitted by iterated reweighting).
HWY_INLINE VecF exp_approx(VecF x) {
  const TagF d;
  const auto in_range = hn::Ge(x, hn::Set(d, -87.0F));
  x = hn::Min(hn::Max(x, hn::Set(d, -87.0F)), hn::Set(d, 88.0F));
  const VecF n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504F)));
  VecF r = hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x);  // exact: nine significant bits
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), r);
  VecF p = hn::Set(d, 0.0013814320554956794F);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00836885068565607F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.041668400168418884F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.1666651964187622F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.4999999403953552F));
  p = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(TagI(), n));
  const VecF scaled = hn::BitCast(d, hn::Add(hn::BitCast(TagI(), p), exponent));
  return hn::IfThenElseZero(in_range, scaled);
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
