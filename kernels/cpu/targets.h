// Include first in every file that is compiled once per instruction set (Highway's foreach_target).
// Names the sets to leave out: scalable vectors, because the kernels keep vectors in arrays, and
// sets that would add code size but no speed.
#pragma once

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

#include <cstddef>
#include <cstdint>

#include "hwy/targets.h"

namespace varve {

/// Index of `target` (one bit of HWY_TARGETS) in a table made by HWY_EXPORT of `size` entries. The
/// choice belongs to an Ops, not to the process, so that one process can compare instruction sets.
inline std::size_t dispatch_index(std::int64_t target, std::size_t size) {
  if (size == 1) return 0;
  hwy::ChosenTarget chosen;
  chosen.Update(target);
  return chosen.GetIndex();
}

}  // namespace varve

#define VARVE_DISPATCH(function, target)         \
  (*HWY_DISPATCH_TABLE(function)[dispatch_index( \
      target, sizeof(HWY_DISPATCH_TABLE(function)) / sizeof(HWY_DISPATCH_TABLE(function)[0]))])

// Loops over registers must unroll whole, or the compiler keeps the vectors in memory.
#if defined(__clang__)
#define VARVE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VARVE_UNROLL _Pragma("GCC unroll 32")
#endif
