// Ranks as threads, so all may use the cores of this process: who is pinned, and what is left.
#include "worker/service/rank_threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/cores.h"
#include "kernels/backend.h"
#include "tests/support/spawn.h"

namespace varve {
namespace {

constexpr Waiting kWaiting{std::chrono::seconds(30), "the ranks to meet"};

using Cpus = std::vector<std::uint32_t>;

struct Seen {
  RankThreads threads;
  Cpus computing;  // that the rank's thread may run on while its backend lives
  Cpus after;
};

std::vector<Seen> run(int ranks, const Orders& orders, bool one_host = true) {
  std::vector<Seen> all(static_cast<std::size_t>(ranks));
  spawn(ranks, [&](Communicator& comm) {
    Seen& seen = all[static_cast<std::size_t>(comm.rank())];
    const std::string host = one_host ? "host" : "host" + std::to_string(comm.rank());
    seen.threads = agree_on_threads(orders, comm, host, kWaiting);
    {
      const auto ops =
          make_ops(orders.backend, {.threads = seen.threads.count, .cores = seen.threads.cores});
      seen.computing = allowed_cores();
    }
    seen.after = allowed_cores();
  });
  return all;
}

Orders orders_with(std::uint32_t threads, bool pin = true) {
  Orders orders;
  orders.backend = "cpu";
  orders.threads = threads;
  orders.pin_threads = pin;
  return orders;
}

// As many threads as the process may use cores.
std::uint32_t all_cores() {
  return static_cast<std::uint32_t>(allowed_cores().size());
}

TEST(RankThreads, EachRankKeepsACoreOfItsOwn) {
  const Cpus cores = allowed_cores();
  const std::vector<Seen> seen = run(static_cast<int>(cores.size()), orders_with(1));
  for (std::size_t rank = 0; rank < cores.size(); ++rank) {
    EXPECT_EQ(seen[rank].threads.cores, Cpus{cores[rank]});
    EXPECT_EQ(seen[rank].computing, Cpus{cores[rank]});
    EXPECT_EQ(seen[rank].after, cores);
  }
}

TEST(RankThreads, RanksOfOtherHostsDoNotCount) {
  const Cpus cores = allowed_cores();
  for (const Seen& seen : run(3, orders_with(all_cores()), false)) {
    EXPECT_EQ(seen.threads.cores, cores);
  }
}

TEST(RankThreads, AreNotPinnedWhenThereAreTooFewCores) {
  const Cpus cores = allowed_cores();
  const auto threads = static_cast<std::uint32_t>(cores.size() / 2 + 1);
  for (const Seen& seen : run(2, orders_with(threads))) {
    EXPECT_EQ(seen.threads.count, threads);
    EXPECT_TRUE(seen.threads.cores.empty());
    EXPECT_EQ(seen.computing, cores);
  }
}

TEST(RankThreads, AreNotPinnedWhenTheClusterFileSaysSo) {
  const Cpus cores = allowed_cores();
  for (const Seen& seen : run(static_cast<int>(cores.size()), orders_with(1, false))) {
    EXPECT_TRUE(seen.threads.cores.empty());
    EXPECT_EQ(seen.computing, cores);
  }
}

TEST(RankThreads, AutoIsAShareOfTheCores) {
  for (const Seen& seen : run(2, orders_with(0))) {
    EXPECT_EQ(seen.threads.count, cores_of_a_rank(2));
  }
}

}  // namespace
}  // namespace varve
