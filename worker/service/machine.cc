#include "worker/service/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/error.h"
#include "kernels/cuda/cuda_ops.h"
#include "worker/comm/gather_values.h"
#include "worker/comm/nccl/nccl_rows.h"

namespace varve {
namespace {

bool is_cuda(std::string_view backend) {
  return backend.starts_with("cuda");
}

/// The device of each rank, and how many ranks each device has.
struct Spread {
  std::vector<std::uint32_t> devices;
  std::map<std::string, std::size_t> ranks_of;  // by host and id
  std::optional<std::size_t> lacking;           // the first rank without one of its own
};

// The first device that the rank sees and that has the fewest ranks. A launcher that shows each
// rank one device, and one that shows all of them to each, come to the same.
Spread spread(std::span<const RankMachine> machines) {
  Spread result;
  for (std::size_t rank = 0; rank < machines.size(); ++rank) {
    const RankMachine& machine = machines[rank];
    const auto load = [&](const MachineDevice& d) -> std::size_t& {
      return result.ranks_of[machine.host + " " + d.id];
    };
    const auto best = std::min_element(
        machine.devices.begin(), machine.devices.end(),
        [&](const MachineDevice& x, const MachineDevice& y) { return load(x) < load(y); });
    const bool none = best == machine.devices.end();
    if ((none || load(*best) > 0) && !result.lacking) result.lacking = rank;
    if (none) return result;
    ++load(*best);
    result.devices.push_back(static_cast<std::uint32_t>(best - machine.devices.begin()));
  }
  return result;
}

std::string lack_text(std::span<const RankMachine> machines, std::size_t rank) {
  const RankMachine& machine = machines[rank];
  if (machine.devices.empty()) {
    return fmt::format("rank {} on {} sees no GPU that this build can use", rank, machine.host);
  }
  const auto local = std::count_if(machines.begin(), machines.end(), [&](const RankMachine& other) {
    return other.host == machine.host;
  });
  return fmt::format("rank {} has no GPU of its own: {} has {} ranks, and rank {} sees {} GPU{}",
                     rank, machine.host, local, rank, machine.devices.size(),
                     machine.devices.size() == 1 ? "" : "s");
}

std::size_t least_memory(std::span<const RankMachine> machines, const Spread& spread) {
  std::size_t least = SIZE_MAX;
  for (std::size_t rank = 0; rank < machines.size(); ++rank) {
    const MachineDevice& device = machines[rank].devices[spread.devices[rank]];
    const std::size_t ranks = spread.ranks_of.at(machines[rank].host + " " + device.id);
    least = std::min<std::size_t>(least, device.memory / ranks);
  }
  return least;
}

// Empty, or what keeps the ranks from using NCCL together.
std::string nccl_trouble(std::span<const RankMachine> machines, bool shared) {
  if (machines.size() == 1) return "one rank has nobody to send to";
  for (std::size_t rank = 0; rank < machines.size(); ++rank) {
    if (machines[rank].nccl.empty()) return fmt::format("rank {} has no NCCL", rank);
    if (machines[rank].nccl != machines.front().nccl) {
      return fmt::format("rank 0 has {}, rank {} has {}", machines.front().nccl, rank,
                         machines[rank].nccl);
    }
  }
  return shared ? "several ranks share a GPU" : "";
}

RowPath choose_path(std::span<const RankMachine> machines, const DeviceWish& wish, bool shared) {
  if (wish.path == RowPath::kHost) return RowPath::kStaged;
  const std::string trouble = nccl_trouble(machines, shared);
  // Where it was asked for, NCCL itself says whether it takes two ranks of one GPU.
  const bool possible = trouble.empty() || (shared && nccl_trouble(machines, false).empty());
  if (wish.path == RowPath::kNccl) {
    if (!possible) throw DeviceError("activations: nccl cannot be used: " + trouble);
    return RowPath::kNccl;
  }
  return trouble.empty() ? RowPath::kNccl : RowPath::kStaged;
}

DeviceChoice on_host(std::string backend, const DeviceWish& wish, std::string note) {
  if (wish.path == RowPath::kNccl) {
    throw DeviceError(fmt::format(
        "activations: nccl needs backend cuda, and this run's is {}; auto or host would be right",
        backend));
  }
  return {.backend = std::move(backend), .devices = {}, .note = std::move(note)};
}

}  // namespace

RankMachine this_machine(const std::string& host) {
  RankMachine machine{.host = host, .devices = {}, .nccl = nccl_version()};
  for (const CudaDevice& device : cuda_devices()) {
    machine.devices.push_back({device.id, device.name, device.memory});
  }
  return machine;
}

std::vector<RankMachine> survey_machines(Communicator& comm, const std::string& host,
                                         Waiting waiting) {
  return gather_values(comm, this_machine(host), 0, Tag::kMachines, waiting, "machine");
}

DeviceChoice choose_devices(std::span<const RankMachine> machines, const DeviceWish& wish) {
  const bool automatic = wish.backend == "auto";
  if (!automatic && !is_cuda(wish.backend)) return on_host(std::string(wish.backend), wish, {});
  const Spread found = spread(machines);
  const bool complete = found.devices.size() == machines.size();
  if (!complete || (found.lacking && !wish.share)) {
    const bool none = std::all_of(machines.begin(), machines.end(),
                                  [](const RankMachine& m) { return m.devices.empty(); });
    if (!automatic && none && cuda_versions().empty()) {
      throw DeviceError(fmt::format("backend {}: {}", wish.backend, kNoCuda));
    }
    const std::string lack = lack_text(machines, complete ? *found.lacking : found.devices.size());
    if (!automatic) {
      throw DeviceError(fmt::format(
          "backend {}: {}; as many ranks as GPUs would be right, or {}backend cpu", wish.backend,
          lack, complete ? "share_devices: true to let ranks share one, or " : ""));
    }
    return on_host("cpu", wish, none ? "" : "backend cpu, since " + lack);
  }
  const bool shared = found.lacking.has_value();
  return {.backend = automatic ? "cuda" : std::string(wish.backend),
          .devices = found.devices,
          .path = choose_path(machines, wish, shared),
          .memory = least_memory(machines, found)};
}

}  // namespace varve
