#include "kernels/cpu/isa.h"

#include "kernels/cpu/amx.h"
#include "kernels/cpu/targets.h"

namespace varve {
namespace {

// Lower bits are better sets of one architecture (hwy/detect_targets.h).
constexpr Isa kKnown[] = {
    {HWY_AVX3, "avx512"}, {HWY_AVX2, "avx2"},     {HWY_SSE4, "sse4"},
    {HWY_NEON, "neon"},   {HWY_EMU128, "scalar"}, {HWY_SCALAR, "scalar"},
};

}  // namespace

std::vector<Isa> isas() {
  std::vector<Isa> found;
  // The baseline needs no detection: this very code was compiled for it.
  const std::int64_t usable = (hwy::SupportedTargets() | HWY_STATIC_TARGET) & HWY_TARGETS;
  for (const Isa& isa : kKnown) {
    if ((usable & isa.target) == 0) continue;
    if (isa.target == HWY_AVX3 && has_amx()) found.push_back({HWY_AVX3, "amx", true});
    found.push_back(isa);
  }
  return found;
}

}  // namespace varve
