#include "tests/cuda_on_cpu/ptx/rounding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace varve::ptx {
namespace {

struct Format {
  int fraction;  // bits after the leading one
  int least;     // exponent of the smallest normal number
  int most;      // exponent of the largest
};

template <class T>
constexpr Format kFormat{};
template <>
constexpr Format kFormat<Half>{10, -14, 15};
template <>
constexpr Format kFormat<Bf16>{7, -126, 127};

double widen(std::uint16_t bits, Format f) {
  const int exponent_bits = 15 - f.fraction;
  const int exponent = bits >> f.fraction & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << f.fraction) - 1);
  double magnitude = 0;
  if (exponent == (1 << exponent_bits) - 1) {
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, f.least - f.fraction);
  } else {
    magnitude = std::ldexp(fraction + (1 << f.fraction), exponent + f.least - 1 - f.fraction);
  }
  return std::copysign(magnitude, bits >> 15 != 0 ? -1.0 : 1.0);
}

// `units` rounded to a whole number. Not by the processor's mode, which a compiler may ignore.
double round_units(double units, bool negative, int mode) {
  const double below = std::floor(units);
  const double rest = units - below;
  if (rest == 0) return below;
  switch (mode) {
    case FE_TOWARDZERO:
      return below;
    case FE_UPWARD:
      return negative ? below : below + 1;
    case FE_DOWNWARD:
      return negative ? below + 1 : below;
    default:
      break;
  }
  const bool odd = std::fmod(below, 2) != 0;
  return rest > 0.5 || (rest == 0.5 && odd) ? below + 1 : below;
}

// What a number beyond the largest becomes.
bool overflow_is_infinite(bool negative, int mode) {
  return mode == FE_TONEAREST || (mode == FE_UPWARD && !negative) ||
         (mode == FE_DOWNWARD && negative);
}

std::uint16_t narrow(double value, Format f, int mode) {
  if (std::isnan(value)) return 0x7fff;
  const bool negative = std::signbit(value);
  const int sign = negative ? 0x8000 : 0;
  const int infinity = ((1 << (15 - f.fraction)) - 1) << f.fraction;
  const double magnitude = std::fabs(value);
  if (std::isinf(value)) return static_cast<std::uint16_t>(sign | infinity);
  if (magnitude == 0) return static_cast<std::uint16_t>(sign);
  const int exponent = std::max(std::ilogb(magnitude), f.least);
  const double units = round_units(std::ldexp(magnitude, f.fraction - exponent), negative, mode);
  // Counting units from 2^least on is counting bit patterns; a carry moves into the exponent.
  const double pattern = units + std::ldexp(exponent - f.least, f.fraction);
  if (pattern >= infinity) {
    return static_cast<std::uint16_t>(
        sign | (overflow_is_infinite(negative, mode) ? infinity : infinity - 1));
  }
  return static_cast<std::uint16_t>(sign | static_cast<int>(pattern));
}

}  // namespace

double widen(Half value) {
  return widen(value.bits, kFormat<Half>);
}
double widen(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16U);
}

template <class T>
T narrow(double value, int mode) {
  return T{narrow(value, kFormat<T>, mode)};
}

template Half narrow<Half>(double value, int mode);
template Bf16 narrow<Bf16>(double value, int mode);

double fused(double x, double y, double z) {
  const double product = x * y;  // exact: two short significands
  const double sum = product + z;
  if (!std::isfinite(sum)) return sum;
  // Knuth's two-sum, then round to odd: a later rounding to fewer bits sees that there was more.
  const double part = sum - product;
  const double error = (product - (sum - part)) + (z - part);
  const auto bits = std::bit_cast<std::uint64_t>(sum);
  if (error == 0 || (bits & 1U) != 0) return sum;
  return std::bit_cast<double>((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
}

}  // namespace varve::ptx
