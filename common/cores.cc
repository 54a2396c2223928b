#include "common/cores.h"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace varve {

std::size_t machine_cores() {
  return std::max(std::thread::hardware_concurrency(), 1U);
}

std::size_t usable_cores() {
  // On a machine with more cores than the set holds the call fails; then nothing is known.
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return machine_cores();
  return std::clamp<std::size_t>(static_cast<std::size_t>(CPU_COUNT(&set)), 1, machine_cores());
}

std::size_t cores_of_a_rank(std::size_t ranks) {
  const std::size_t share = machine_cores() / std::max<std::size_t>(ranks, 1);
  return std::clamp<std::size_t>(share, 1, usable_cores());
}

}  // namespace varve
