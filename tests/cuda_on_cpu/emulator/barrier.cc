#include "tests/cuda_on_cpu/emulator/barrier.h"

#include <fmt/format.h>

#include "tests/cuda_on_cpu/emulator/machine.h"
#include "tests/cuda_on_cpu/emulator/report.h"

namespace varve::emulator {

void sync_threads(Place at) {
  Barrier& barrier = machine.barrier();
  if (barrier.arrived == 0) barrier.at = at;
  if (!(barrier.at == at)) {
    machine.fail(at, fmt::format("divergent __syncthreads: other threads wait at {}",
                                 to_string(barrier.at)));
  }
  Ordering& ordering = barrier.orderings[barrier.times % 2];
  ordering.release();
  if (++barrier.arrived == machine.threads()) {
    barrier.arrived = 0;
    ++barrier.times;
    machine.make_all_ready();
    machine.maybe_yield();
  } else {
    machine.wait(Word::kSyncthreads, at);
  }
  ordering.acquire();
}

}  // namespace varve::emulator
