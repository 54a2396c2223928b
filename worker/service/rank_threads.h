// How many threads a rank computes with, and on which cores, among the ranks of its host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/wire/orders.h"
#include "worker/comm/communicator.h"

namespace varve {

struct RankThreads {
  std::size_t count = 1;
  std::vector<std::uint32_t> cores;  // [count], thread t on entry t; empty: where the system likes
};

/// Every rank calls it with the same orders and its own host name, in the thread that will compute
/// and before it is pinned.
RankThreads agree_on_threads(const Orders& orders, Communicator& comm, std::string_view host,
                             Waiting waiting);

}  // namespace varve
