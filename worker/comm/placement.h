// Which ranks share a host. From host names, so that it is the same for every transport.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/comm/communicator.h"

namespace varve {

struct Placement {
  std::string host;
  int local_rank;  // among the ranks of the host, in rank order
  int local_size;
};

/// By rank, from the host name of each rank.
std::vector<Placement> place(std::span<const std::string> hosts);

/// Every rank calls it with its own host name and gets the placement of all, by rank.
std::vector<Placement> exchange_placement(Communicator& communicator, std::string_view host,
                                          Waiting waiting);

}  // namespace varve
