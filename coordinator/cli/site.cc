#include "coordinator/cli/site.h"

#include <fmt/format.h>

#include "common/host_name.h"

namespace varve {
namespace {

std::optional<RowPath> path_of(Activations activations) {
  switch (activations) {
    case Activations::kAuto:
      return std::nullopt;
    case Activations::kNccl:
      return RowPath::kNccl;
    case Activations::kHost:
      return RowPath::kHost;
  }
  return std::nullopt;
}

}  // namespace

DeviceChoice choose_devices(std::span<const RankMachine> machines, const ClusterConfig& cluster) {
  return choose_devices(machines, {.backend = to_string(cluster.backend),
                                   .share = cluster.share_devices,
                                   .path = path_of(cluster.activations)});
}

Site site_here(const ClusterConfig& cluster) {
  const std::size_t ranks = cluster.ranks.value_or(1);
  const RankMachine here = this_machine(host_name());
  const bool cuda = cluster.backend == Backend::kCuda || cluster.backend == Backend::kCudaF32;
  if (cuda && here.devices.empty()) {
    const bool nccl = ranks > 1 && cluster.activations != Activations::kHost;
    return {ranks,
            ranks,
            {.backend = std::string(to_string(cluster.backend)),
             .path = nccl ? RowPath::kNccl : RowPath::kStaged}};
  }
  std::vector<RankMachine> machines(ranks, here);
  for (std::size_t rank = 0; rank < ranks; ++rank) machines[rank].host += fmt::format(".{}", rank);
  return {ranks, ranks, choose_devices(machines, cluster)};
}

}  // namespace varve
