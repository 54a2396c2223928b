// Which threads of a block can go on, as one bit each, and which of them goes first.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "tests/cuda_on_cpu/emulator/grid.h"
#include "tests/cuda_on_cpu/emulator/schedule.h"

namespace varve::emulator {

class ReadyThreads {
 public:
  void add_warp(unsigned warp) {
    lanes_[warp] = ~0U;
    warps_ |= 1U << warp;
  }
  void add_all(unsigned warps) {
    for (unsigned warp = 0; warp < warps; ++warp) add_warp(warp);
  }
  void remove(unsigned thread) {
    const unsigned warp = thread / kWarpThreads;
    lanes_[warp] &= ~(1U << thread % kWarpThreads);
    if (lanes_[warp] == 0) warps_ &= ~(1U << warp);
  }
  void clear() { *this = {}; }
  bool none() const { return warps_ == 0; }

  /// The number of one, of which there must be some.
  unsigned first(Order order, Random& random) const {
    const unsigned warp = pick(warps_, order, random);
    return warp * kWarpThreads + pick(lanes_[warp], order, random);
  }

 private:
  static unsigned pick(std::uint32_t bits, Order order, Random& random) {
    switch (order) {
      case Order::kForward:
        break;
      case Order::kReverse:
        return 31U - static_cast<unsigned>(std::countl_zero(bits));
      case Order::kRandom: {
        const unsigned skipped = random.next() % 32U;
        const auto after = std::countr_zero(std::rotr(bits, static_cast<int>(skipped)));
        return (skipped + static_cast<unsigned>(after)) % 32U;
      }
    }
    return static_cast<unsigned>(std::countr_zero(bits));
  }

  std::uint32_t warps_ = 0;  // that have such a thread
  std::array<std::uint32_t, kMaxBlockThreads / kWarpThreads> lanes_{};
};

}  // namespace varve::emulator
