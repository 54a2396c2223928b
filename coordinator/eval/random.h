// Choices that depend on a seed alone, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/split_mix.h"

namespace varve {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(split_mix(seed)) {}

  std::uint64_t bits() { return split_mix(state_++); }
  /// Below `count`, which is at least 1.
  std::size_t below(std::size_t count) { return bits() % count; }
  /// From 0 to 1, without 1.
  double share() { return static_cast<double>(bits() >> 11U) * 0x1p-53; }
  /// `count` different numbers below `of`, in any order.
  std::vector<std::size_t> different(std::size_t count, std::size_t of);

 private:
  std::uint64_t state_;
};

/// The seed with a text and a number mixed in.
std::uint64_t mixed_seed(std::uint64_t seed, std::string_view text, std::uint64_t number);

}  // namespace varve
