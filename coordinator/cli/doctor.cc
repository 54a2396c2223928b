// `varve doctor`: what a set of machines has, whether all pairs of ranks reach each other and how
// fast, what is wrong and what to set. Without model and job; on one rank as on many.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <thread>

#include "common/error.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/prepared_job.h"
#include "coordinator/cli/site.h"
#include "coordinator/cli/start_limit.h"
#include "coordinator/doctor/findings.h"
#include "kernels/backend.h"
#include "worker/comm/gather_values.h"
#include "worker/comm/thread_communicator.h"

namespace varve {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);
constexpr Waiting kRound{kLimit, "a round of exchanges"};
constexpr Waiting kFacts{kLimit, "what every rank's machine has"};
constexpr Waiting kTrial{std::chrono::seconds(30), "an exchange"};

std::vector<RankMachine> machines_of(std::span<const MachineFacts> ranks) {
  std::vector<RankMachine> machines;
  for (const MachineFacts& f : ranks) machines.push_back(f.machine);
  return machines;
}

// Whether the ranks get what the cluster file asks for, first if they do not.
void add_device_trouble(std::span<const MachineFacts> ranks, const ClusterConfig& cluster,
                        std::vector<Finding>& findings) {
  try {
    const DeviceChoice choice = choose_devices(machines_of(ranks), cluster);
    if (choice.note.empty()) return;
    findings.push_back({false, choice.note,
                        "as many ranks as GPUs; with backend: cuda, share_devices: true in the "
                        "cluster file lets ranks share one"});
  } catch (const DeviceError& error) {
    findings.insert(findings.begin(), {true, error.what(), "see GPUs in docs/clusters.md"});
  }
}

/// What rank 0 tells the others: the GPU of each; empty: no exchange between GPUs.
struct Devices {
  std::vector<std::uint32_t> of_rank;
};
template <class A>
void visit(A& a, Devices& d) {
  a(d.of_rank);
}

// Empty if the ranks do not get as far as NCCL; the findings say why.
Devices devices_for(std::span<const MachineFacts> ranks, const ClusterConfig& cluster) {
  try {
    const DeviceChoice choice = choose_devices(machines_of(ranks), cluster);
    if (choice.path == RowPath::kNccl) return {choice.devices};
  } catch (const DeviceError&) {
  }
  return {};
}

std::vector<PairTrial> try_devices(Communicator& comm, std::span<const MachineFacts> ranks,
                                   const ClusterConfig& cluster) {
  Devices devices;
  if (comm.rank() == 0) devices = devices_for(ranks, cluster);
  std::vector<std::byte> bytes = to_bytes(devices);
  comm.broadcast(bytes, 0, Tag::kMachines, kFacts);
  devices = from_bytes<Devices>(bytes, "devices");
  if (devices.of_rank.empty()) return {};
  const auto rank = static_cast<std::size_t>(comm.rank());
  const auto ops = make_ops("cuda", {.device = static_cast<int>(devices.of_rank.at(rank))});
  return try_pairs(
      comm, [&](int peer) { return exchange_on_devices(comm, *ops, peer, kTrial); }, kRound);
}

// The report, at rank 0; elsewhere empty.
struct Examination {
  std::string report;
  bool fatal = false;
};

Examination examine(Communicator& comm, bool mpi, const ClusterConfig& cluster,
                    std::span<std::byte> memory) {
  const std::vector<MachineFacts> ranks =
      gather_values(comm, facts_here(mpi), 0, Tag::kMachines, kFacts, "facts");
  const std::vector<PairTrial> messages = try_pairs(
      comm, [&](int peer) { return exchange_messages(comm, memory, peer, kTrial); }, kRound);
  const std::vector<PairTrial> devices = try_devices(comm, ranks, cluster);
  if (comm.rank() != 0) return {};
  std::vector<Finding> findings = find_trouble(ranks, messages, devices);
  add_device_trouble(ranks, cluster, findings);
  return {doctor_report(ranks, messages, devices, findings),
          !findings.empty() && findings.front().fatal};
}

int print(const Examination& found) {
  std::fputs(found.report.c_str(), stdout);
  return found.fatal ? static_cast<int>(ExitCode::kOther) : 0;
}

// A rank that cannot reach another one says so itself: rank 0 may not hear of it.
int examine_mpi(const Launch& launch, const ClusterConfig& cluster) {
  std::vector<std::byte> memory(kTrialBytes);
  std::optional<StartLimit> starting;
  starting.emplace(name_of(launch), kLimit);
  MpiSession session;
  std::unique_ptr<Communicator> comm = session.communicator(kLimit);
  starting.reset();
  try {
    const int code = print(examine(*comm, true, cluster, memory));
    comm.reset();
    session.finalize(kLimit);
    return code;
  } catch (const Error& error) {
    std::fprintf(stderr,
                 "varve: %s: %s\n  the network between hosts is chosen by mpirun --mca "
                 "btl_tcp_if_include; docs/clusters.md says more\n",
                 name_of(launch).c_str(), error.what());
    std::fflush(stderr);
    MpiSession::hard_abort(error.code());
  }
}

int examine_threads(std::size_t ranks, const ClusterConfig& cluster) {
  ThreadWorld world(static_cast<int>(ranks));
  Examination found;
  std::vector<std::exception_ptr> failures(ranks);
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      std::vector<std::byte> memory(kTrialBytes);
      const auto comm = world.communicator(static_cast<int>(rank));
      try {
        Examination mine = examine(*comm, false, cluster, memory);
        if (rank == 0) found = std::move(mine);
      } catch (...) {
        failures[rank] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return print(found);
}

}  // namespace

int doctor_command(const CommandLine& line) {
  Problems problems;
  const ClusterConfig cluster = read_cluster_of(line, problems);
  problems.throw_if_any();
  const std::optional<Launch> launch = detect_launch();
  if (launch && launch->size != 1) return examine_mpi(*launch, cluster);
  return examine_threads(cluster.ranks.value_or(1), cluster);
}

}  // namespace varve
