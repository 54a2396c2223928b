// How a value lies in a register slot: numbers of up to 32 bits in a 32-bit cell with zeros above,
// of 64 bits in a 64-bit cell.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "tests/cuda_on_cpu/ptx/program.h"

namespace varve::ptx {

/// The bits of a 16-bit float; to tell the two formats apart.
struct Half {
  std::uint16_t bits;
};
struct Bf16 {
  std::uint16_t bits;
};

template <class T>
inline constexpr bool is_small_float = std::is_same_v<T, Half> || std::is_same_v<T, Bf16>;

template <class T>
using Cell = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

template <class T>
T from_cell(Cell<T> cell) {
  if constexpr (is_small_float<T>) {
    return T{static_cast<std::uint16_t>(cell)};
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::bit_cast<T>(cell);
  } else {
    return static_cast<T>(cell);
  }
}

template <class T>
Cell<T> to_cell(T value) {
  if constexpr (is_small_float<T>) {
    return value.bits;
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::bit_cast<Cell<T>>(value);
  } else {
    return static_cast<std::make_unsigned_t<T>>(value);
  }
}

/// f(lane) for every lane of the mask. The lanes do not depend on each other.
template <class F>
void each_lane(std::uint32_t lanes, F f) {
  if (lanes == kAllLanes) {
#if !defined(__clang__)  // which would warn of what it cannot vectorize
#pragma GCC ivdep
#endif
    for (unsigned lane = 0; lane < kLanes; ++lane) f(lane);
  } else {
    for (; lanes != 0; lanes &= lanes - 1) f(static_cast<unsigned>(std::countr_zero(lanes)));
  }
}

}  // namespace varve::ptx
