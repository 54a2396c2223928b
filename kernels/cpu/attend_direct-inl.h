// When a tile of keys is decoded in registers and used at once, never stored: for very few queries.
// The chains of multiply-adds are those of the general path, so the bits are too. Compiled once per
// instruction set.
#if defined(VARVE_CPU_ATTEND_DIRECT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef VARVE_CPU_ATTEND_DIRECT_INL_H
#undef VARVE_CPU_ATTEND_DIRECT_INL_H
#else
#define VARVE_CPU_ATTEND_DIRECT_INL_H
#endif

// The short vectors gain little from it and would cost compile time.
#undef VARVE_ATTEND_DIRECT
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_SSE4
#define VARVE_ATTEND_DIRECT 0
#else
#define VARVE_ATTEND_DIRECT 1
#endif

#include "kernels/cpu/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

inline constexpr std::size_t kDirectQueries = 4;
/// The head size must be a multiple of this.
inline constexpr std::size_t kDirectDim = kTransposed > kLanes ? kTransposed : kLanes;

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
