// The processor cores that this process may use. A launcher, a container or taskset may leave it
// fewer than the machine has, of which std::thread::hardware_concurrency knows nothing.
#pragma once

#include <cstddef>

namespace varve {

/// At least 1.
std::size_t machine_cores();

/// Those that the calling thread may run on; at least 1, at most machine_cores().
std::size_t usable_cores();

/// For one of `ranks` on this machine: an equal share of its cores, but no more than it may use.
std::size_t cores_of_a_rank(std::size_t ranks);

}  // namespace varve
