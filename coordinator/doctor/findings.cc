#include "coordinator/doctor/findings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "common/units.h"

namespace varve {
namespace {

// NCCL's shared memory transport and MPI's take a few MiB for each pair of ranks of a host; Docker
// gives a container 64 MiB in all.
constexpr std::uint64_t kLeastSharedMemory = std::uint64_t{256} << 20U;
// Below that activations of 512 rows of a model with 4096 features take longer than many a step.
constexpr double kSlowBytes = 200e6;

using Findings = std::vector<Finding>;

std::string rank_name(std::span<const MachineFacts> ranks, std::size_t rank) {
  return fmt::format("rank {} on {}", rank, ranks[rank].machine.host);
}

/// One finding if the ranks do not agree: "rank 0 on a has X, rank 1 on b has Y".
void expect_equal(std::span<const MachineFacts> ranks, std::string_view what, bool fatal,
                  std::string_view remedy,
                  const std::function<std::string(const MachineFacts&)>& value, Findings& out) {
  for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
    const std::string first = value(ranks[0]);
    const std::string other = value(ranks[rank]);
    if (first == other) continue;
    const auto shown = [](const std::string& text) { return text.empty() ? "none" : text; };
    out.push_back({fatal,
                   fmt::format("{} differ: {} has {}, {} has {}", what, rank_name(ranks, 0),
                               shown(first), rank_name(ranks, rank), shown(other)),
                   std::string(remedy)});
    return;
  }
}

void check_versions(std::span<const MachineFacts> ranks, Findings& out) {
  expect_equal(
      ranks, "builds of varve", true, "install the same build everywhere",
      [](const MachineFacts& f) { return f.version; }, out);
  expect_equal(
      ranks, "MPI libraries", true, "install the same MPI everywhere",
      [](const MachineFacts& f) { return f.mpi; }, out);
  expect_equal(
      ranks, "CUDA versions", false,
      "an old driver refuses what a new one runs: install the same everywhere",
      [](const MachineFacts& f) { return f.cuda; }, out);
  expect_equal(
      ranks, "NCCL versions", false,
      "install the same NCCL everywhere: activations go through host memory otherwise",
      [](const MachineFacts& f) { return f.machine.nccl; }, out);
}

void check_shared_memory(std::span<const MachineFacts> ranks, Findings& out) {
  std::set<std::string> hosts;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const MachineFacts& f = ranks[rank];
    if (!hosts.insert(f.machine.host).second) continue;
    if (f.shared_memory_free >= kLeastSharedMemory) continue;
    const std::string remedy =
        "in a container: docker run --shm-size=1g; or, slower, NCCL_SHM_DISABLE=1 and mpirun --mca "
        "btl self,tcp";
    if (f.shared_memory == 0) {
      out.push_back({false, fmt::format("{} has no /dev/shm", f.machine.host), remedy});
    } else {
      out.push_back({false,
                     fmt::format("{} has {} free of {} in /dev/shm, which ranks of one host "
                                 "exchange through",
                                 f.machine.host, to_string(Bytes{f.shared_memory_free}),
                                 to_string(Bytes{f.shared_memory})),
                     remedy});
    }
  }
}

std::size_t ranks_on(std::span<const MachineFacts> ranks, const std::string& host) {
  return static_cast<std::size_t>(std::count_if(
      ranks.begin(), ranks.end(), [&](const MachineFacts& f) { return f.machine.host == host; }));
}

void check_cores(std::span<const MachineFacts> ranks, Findings& out) {
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const MachineFacts& f = ranks[rank];
    const std::uint64_t share =
        std::max<std::uint64_t>(f.cores / ranks_on(ranks, f.machine.host), 1);
    if (f.usable_cores >= share) continue;
    out.push_back({false,
                   fmt::format("{} is bound to {} of {} cores; its share would be {}",
                               rank_name(ranks, rank), f.usable_cores, f.cores, share),
                   "mpirun --bind-to none, or srun --cpus-per-task"});
    return;  // the others are bound alike
  }
}

// The classic trap: a bridge of containers that has the same address on each host.
void check_addresses(std::span<const MachineFacts> ranks, Findings& out) {
  std::map<std::string, std::string> host_of;
  for (const MachineFacts& f : ranks) {
    for (const NamedAddress& a : f.addresses) {
      if (a.loopback) continue;
      const auto [entry, fresh] = host_of.emplace(a.address, f.machine.host);
      if (fresh || entry->second == f.machine.host) continue;
      out.push_back(
          {false,
           fmt::format("{} and {} both have the address {} ({}): MPI and NCCL may take it "
                       "for the way to each other",
                       entry->second, f.machine.host, a.address, a.interface),
           "name the network between the hosts: mpirun --mca btl_tcp_if_include "
           "192.0.2.0/24, and NCCL_SOCKET_IFNAME=eth0"});
      return;
    }
  }
}

std::string interfaces_of(const MachineFacts& f) {
  std::vector<std::string> names;
  for (const NamedAddress& a : f.addresses) {
    if (!a.loopback) names.push_back(fmt::format("{} ({})", a.interface, a.address));
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

void check_trials(std::span<const MachineFacts> ranks, std::span<const PairTrial> trials, bool nccl,
                  Findings& out) {
  const PairTrial* slowest = nullptr;
  for (const PairTrial& t : trials) {
    if (!t.error.empty()) {
      out.push_back({true,
                     fmt::format("{} and {} cannot exchange{}: {}", rank_name(ranks, t.low),
                                 rank_name(ranks, t.high), nccl ? " over NCCL" : "", t.error),
                     nccl ? fmt::format("NCCL_DEBUG=INFO says more; the network is chosen by "
                                        "NCCL_SOCKET_IFNAME ({} has {}); without NCCL: "
                                        "activations: host in the cluster file",
                                        rank_name(ranks, t.low), interfaces_of(ranks[t.low]))
                          : "see docs/clusters.md"});
      continue;
    }
    if (slowest == nullptr || t.bytes_per_second < slowest->bytes_per_second) slowest = &t;
  }
  if (slowest == nullptr || slowest->bytes_per_second >= kSlowBytes) return;
  out.push_back(
      {false,
       fmt::format("{} and {} exchange {:.0f} MB/s{}", rank_name(ranks, slowest->low),
                   rank_name(ranks, slowest->high), slowest->bytes_per_second / 1e6,
                   nccl ? " over NCCL" : ""),
       fmt::format("a faster network, if {} has one ({}): {}", rank_name(ranks, slowest->low),
                   interfaces_of(ranks[slowest->low]),
                   nccl ? "NCCL_SOCKET_IFNAME, NCCL_IB_HCA" : "mpirun --mca btl_tcp_if_include")});
}

std::string devices_text(const MachineFacts& f) {
  if (f.machine.devices.empty()) return "no GPU";
  std::vector<std::string> names;
  for (const MachineDevice& d : f.machine.devices) {
    names.push_back(fmt::format("{} ({})", d.name, to_string(Bytes{d.memory})));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string rank_text(std::size_t rank, const MachineFacts& f) {
  std::string text = fmt::format(
      "rank {} on {}\n  {} of {} cores, {} of memory, /dev/shm {} free of {}\n  network: {}\n  "
      "{}\n",
      rank, f.machine.host, f.usable_cores, f.cores, to_string(Bytes{f.memory}),
      to_string(Bytes{f.shared_memory_free}), to_string(Bytes{f.shared_memory}), interfaces_of(f),
      devices_text(f));
  std::vector<std::string> versions = {"varve " + f.version};
  for (const std::string& part : {f.mpi, f.cuda.empty() ? "" : "CUDA " + f.cuda, f.machine.nccl}) {
    if (!part.empty()) versions.push_back(part);
  }
  text += fmt::format("  {}\n", fmt::join(versions, "; "));
  for (const std::string& setting : f.settings) text += fmt::format("  {}\n", setting);
  return text;
}

std::string trials_text(std::string_view title, std::span<const PairTrial> trials) {
  if (trials.empty()) return "";
  std::string text =
      fmt::format("\n{}\n{:>9}  {:>10}  {:>10}\n", title, "ranks", "one way", "speed");
  for (const PairTrial& t : trials) {
    const std::string pair = fmt::format("{} - {}", t.low, t.high);
    text += t.error.empty() ? fmt::format("{:>9}  {:>7.1f} us  {:>5.2f} GB/s\n", pair,
                                          t.seconds * 1e6, t.bytes_per_second / 1e9)
                            : fmt::format("{:>9}  failed\n", pair);
  }
  return text;
}

}  // namespace

std::vector<Finding> find_trouble(std::span<const MachineFacts> ranks,
                                  std::span<const PairTrial> messages,
                                  std::span<const PairTrial> devices) {
  Findings out;
  check_versions(ranks, out);
  check_shared_memory(ranks, out);
  check_cores(ranks, out);
  check_addresses(ranks, out);
  check_trials(ranks, messages, false, out);
  check_trials(ranks, devices, true, out);
  std::stable_sort(out.begin(), out.end(),
                   [](const Finding& x, const Finding& y) { return x.fatal && !y.fatal; });
  return out;
}

std::string doctor_report(std::span<const MachineFacts> ranks, std::span<const PairTrial> messages,
                          std::span<const PairTrial> devices, std::span<const Finding> findings) {
  std::string text;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) text += rank_text(rank, ranks[rank]);
  text += trials_text(ranks[0].mpi.empty() ? "between threads" : "over MPI", messages);
  text += trials_text("from GPU to GPU over " + ranks[0].machine.nccl, devices);
  text += findings.empty() ? "\nnothing wrong was found\n" : "\n";
  for (const Finding& f : findings) {
    text += fmt::format("{}: {}\n  {}\n", f.fatal ? "error" : "note", f.text, f.remedy);
  }
  return text;
}

}  // namespace varve
