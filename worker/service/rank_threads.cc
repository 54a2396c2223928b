#include "worker/service/rank_threads.h"

#include "common/cores.h"
#include "common/error.h"
#include "common/wire/archive.h"
#include "worker/comm/gather_values.h"
#include "worker/comm/placement.h"

namespace varve {

template <class A>
void visit(A& a, RankDemand& d) {
  a(d.threads, d.allowed);
}

namespace {

struct Demands {
  std::vector<RankDemand> ranks;
};
template <class A>
void visit(A& a, Demands& d) {
  a(d.ranks);
}

// The reference takes one thread, and a device's work is not on the cores.
bool computes_on_cores(std::string_view backend) {
  return backend == "auto" || backend.starts_with("cpu");
}

std::vector<RankDemand> exchange_demands(Communicator& comm, const RankDemand& mine,
                                         Waiting waiting) {
  Demands all{gather_values(comm, mine, 0, Tag::kBootstrap, waiting, "threads")};
  std::vector<std::byte> bytes = to_bytes(all);
  comm.broadcast(bytes, 0, Tag::kBootstrap, waiting);
  all = from_bytes<Demands>(bytes, "threads");
  VARVE_CHECK(all.ranks.size() == static_cast<std::size_t>(comm.size()), "{} demands for {} ranks",
              all.ranks.size(), comm.size());
  return all.ranks;
}

}  // namespace

RankThreads agree_on_threads(const Orders& orders, Communicator& comm, std::string_view host,
                             Waiting waiting) {
  const std::vector<Placement> places = exchange_placement(comm, host, waiting);
  const Placement& mine = places[static_cast<std::size_t>(comm.rank())];
  RankThreads threads;
  threads.count = orders.threads > 0 ? orders.threads
                                     : cores_of_a_rank(static_cast<std::size_t>(mine.local_size));
  if (!orders.pin_threads || !computes_on_cores(orders.backend)) return threads;
  const std::vector<RankDemand> all =
      exchange_demands(comm, {threads.count, allowed_cores()}, waiting);
  std::vector<RankDemand> local;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (places[rank].host == mine.host) local.push_back(all[rank]);
  }
  threads.cores = cores_to_pin(local, static_cast<std::size_t>(mine.local_rank));
  return threads;
}

}  // namespace varve
