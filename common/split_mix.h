// SplitMix64's step and finalizer (Steele, Lea, Flood 2014): random bits from a counter, the same
// on every machine.
#pragma once

#include <cstdint>

namespace varve {

/// 64 bits that look random, of x alone.
constexpr std::uint64_t split_mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

}  // namespace varve
