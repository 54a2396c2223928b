// Numbers of 16 bits: to double without loss, from double with one rounding.
#pragma once

#include <cfenv>
#include <cstdint>

#include "tests/cuda_on_cpu/ptx/cells.h"

namespace varve::ptx {

/// The rounding of the processor until the end of the scope: FE_TONEAREST, FE_TOWARDZERO, ...
class RoundingScope {
 public:
  explicit RoundingScope(int mode) : before_(std::fegetround()) { std::fesetround(mode); }
  ~RoundingScope() { std::fesetround(before_); }
  RoundingScope(const RoundingScope&) = delete;
  RoundingScope& operator=(const RoundingScope&) = delete;

 private:
  int before_;
};

double widen(Half value);
double widen(Bf16 value);

/// Rounds to nearest even, or as `mode` (FE_*) says. NaN becomes 0x7fff, as on the device.
template <class T>
T narrow(double value, int mode = FE_TONEAREST);

/// x * y + z such that narrow() of it is the fused multiply-add of 16-bit numbers, exactly.
double fused(double x, double y, double z);

}  // namespace varve::ptx
