// __syncthreads.
#pragma once

#include "tests/cuda_on_cpu/emulator/place.h"

namespace varve::emulator {

/// Until all threads of the block are here: at this line, and none has returned before.
void sync_threads(Place at);

}  // namespace varve::emulator
