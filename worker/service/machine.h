// What the ranks' machines have, told to rank 0 before it plans: whether each rank has a GPU of its
// own decides what `backend: auto` means.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/plan/row_path.h"
#include "common/wire/archive.h"
#include "worker/comm/communicator.h"

namespace varve {

/// A GPU as one process sees it.
struct MachineDevice {
  std::string id;            // the same for all processes that see it
  std::string name;          // "NVIDIA H100 80GB HBM3"
  std::uint64_t memory = 0;  // bytes, of all
};
template <class A>
void visit(A& a, MachineDevice& d) {
  a(d.id, d.name, d.memory);
}

/// One rank's.
struct RankMachine {
  std::string host;
  std::vector<MachineDevice> devices;  // by the number that the rank knows them by
  std::string nccl;                    // "NCCL 2.28.9", or empty
};
template <class A>
void visit(A& a, RankMachine& m) {
  a(m.host, m.devices, m.nccl);
}

/// At rank 0: every rank's machine, by rank; elsewhere empty. All ranks call it.
std::vector<RankMachine> survey_machines(Communicator& comm, const std::string& host,
                                         Waiting waiting);

/// This process's own, without asking others.
RankMachine this_machine(const std::string& host);

/// What a run is to compute on.
struct DeviceWish {
  std::string_view backend;       // make_ops, or "auto"
  bool share = false;             // several ranks may have one GPU
  std::optional<RowPath> path{};  // kHost or kNccl; nothing: the best there is
};

struct DeviceChoice {
  std::string backend{};                 // not "auto"
  std::vector<std::uint32_t> devices{};  // by rank, numbers of GPUs; empty: none is used
  RowPath path = RowPath::kHost;
  /// Bytes of GPU memory that the rank with the least has, sharing counted. Nothing without GPUs.
  std::optional<std::size_t> memory{};
  std::string note{};  // why auto did not take what one may have expected, or empty
};

/// A GPU for each rank, none for two unless they may share. `auto` is cuda where every rank has a
/// GPU of its own, else cpu. DeviceError names the host and the ranks that lack one, and what
/// would help; and likewise for NCCL.
DeviceChoice choose_devices(std::span<const RankMachine> machines, const DeviceWish& wish);

}  // namespace varve
