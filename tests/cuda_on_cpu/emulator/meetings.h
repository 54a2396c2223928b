// Where threads wait for each other.
#pragma once

#include <cstdint>

#include "tests/cuda_on_cpu/emulator/grid.h"
#include "tests/cuda_on_cpu/emulator/place.h"
#include "tests/cuda_on_cpu/emulator/sanitizer.h"

namespace varve::emulator {

/// All threads of a block, at __syncthreads.
struct Barrier {
  unsigned arrived = 0;  // threads
  unsigned times = 0;    // that all have arrived
  Place at;              // of the first one to arrive
  // By turns: who leaves late must not be ordered after those who are at the next barrier already.
  Ordering orderings[2];
};

/// The lanes of one warp, at a word that they say together.
struct WarpMeeting {
  std::uint32_t arrived = 0;  // lanes
  unsigned times = 0;         // that all have arrived
  Word word{};                // of the first one to arrive
  Place at;
  void* arguments[kWarpThreads] = {};
  Ordering orderings[2];  // by turns, as a barrier's
};

}  // namespace varve::emulator
