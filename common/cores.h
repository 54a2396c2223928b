// The processor cores that this process may use. A launcher, a container or taskset may leave it
// fewer than the machine has, of which std::thread::hardware_concurrency knows nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace varve {

/// At least 1.
std::size_t machine_cores();

/// Those that the calling thread may run on; at least 1, at most machine_cores().
std::size_t usable_cores();

/// For one of `ranks` on this machine: an equal share of its cores, but no more than it may use.
std::size_t cores_of_a_rank(std::size_t ranks);

/// The numbers of those that the calling thread may run on, ascending. None where the system does
/// not tell.
std::vector<std::uint32_t> allowed_cores();

/// One of the ranks on a machine.
struct RankDemand {
  std::size_t threads = 1;
  std::vector<std::uint32_t> allowed;  // ascending
};

/// The cores for the threads of ranks[local_rank], thread t on entry t; none: leave them to the
/// system. Ranks that may use the same cores share them out in rank order, if together they have a
/// thread for every core. With fewer threads two runs on one machine would both take the first
/// cores and leave the others idle; with more, threads would take turns. Nothing is pinned either
/// if others may use some of these cores but not all.
std::vector<std::uint32_t> cores_to_pin(std::span<const RankDemand> ranks, std::size_t local_rank);

}  // namespace varve
