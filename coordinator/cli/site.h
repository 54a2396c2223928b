// Where a task runs, as far as planning needs to know it.
#pragma once

#include <cstddef>

#include "common/config/cluster_config.h"
#include "worker/service/machine.h"

namespace varve {

struct Site {
  std::size_t ranks = 1;
  std::size_t local_ranks = 1;  // on this host
  DeviceChoice devices{.backend = "cpu"};
};

/// What the cluster file asks of the machines. DeviceError if they do not have it.
DeviceChoice choose_devices(std::span<const RankMachine> machines, const ClusterConfig& cluster);

/// To plan without a launcher: as many ranks as the cluster file says, each on a host like this
/// one. A cuda backend that this host lacks is taken to be there, with memory that nobody knows.
Site site_here(const ClusterConfig& cluster);

}  // namespace varve
