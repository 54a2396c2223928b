#include "common/cores.h"

#include <sched.h>

#include <algorithm>
#include <iterator>
#include <thread>

#include "common/error.h"

namespace varve {
namespace {

bool overlap(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
  std::vector<std::uint32_t> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return !both.empty();
}

}  // namespace

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

std::vector<std::uint32_t> allowed_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
  std::vector<std::uint32_t> cores;
  for (std::uint32_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

std::vector<std::uint32_t> cores_to_pin(std::span<const RankDemand> ranks, std::size_t local_rank) {
  VARVE_CHECK(local_rank < ranks.size(), "rank {} of {}", local_rank, ranks.size());
  const RankDemand& mine = ranks[local_rank];
  std::size_t first = 0;  // of mine
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (ranks[i].allowed != mine.allowed) {
      if (overlap(ranks[i].allowed, mine.allowed)) return {};
      continue;
    }
    if (i == local_rank) first = wanted;
    wanted += ranks[i].threads;
  }
  if (wanted != mine.allowed.size()) return {};
  const auto begin = mine.allowed.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(mine.threads)};
}

}  // namespace varve
