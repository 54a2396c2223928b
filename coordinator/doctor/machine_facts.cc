#include "coordinator/doctor/machine_facts.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "common/cores.h"
#include "common/host_name.h"
#include "common/machine_memory.h"
#include "coordinator/fleet/interfaces.h"
#include "kernels/cuda/cuda_ops.h"
#include "worker/comm/mpi_communicator.h"

namespace varve {
namespace {

constexpr const char* kSharedMemory = "/dev/shm";
constexpr std::array<std::string_view, 6> kSettings = {
    "NCCL_", "OMPI_MCA_btl", "OMPI_MCA_oob", "OMPI_MCA_pml", "CUDA_VISIBLE_DEVICES", "UCX_"};

std::vector<std::string> settings_here() {
  std::vector<std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const bool wanted = std::any_of(kSettings.begin(), kSettings.end(),
                                    [&](std::string_view name) { return text.starts_with(name); });
    if (wanted) found.emplace_back(text);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void read_shared_memory(MachineFacts& facts) {
  struct statvfs found {};
  if (statvfs(kSharedMemory, &found) != 0) return;
  facts.shared_memory = std::uint64_t{found.f_frsize} * found.f_blocks;
  facts.shared_memory_free = std::uint64_t{found.f_frsize} * found.f_bavail;
}

}  // namespace

MachineFacts facts_here(bool mpi) {
  MachineFacts facts;
  facts.machine = this_machine(host_name());
  facts.version = VARVE_VERSION;
  if (mpi) facts.mpi = mpi_version();
  facts.cuda = cuda_versions();
  facts.cores = machine_cores();
  facts.usable_cores = usable_cores();
  facts.memory = machine_memory();
  read_shared_memory(facts);
  for (const InterfaceAddress& a : interface_addresses()) {
    facts.addresses.push_back({a.interface, a.address, a.loopback});
  }
  facts.settings = settings_here();
  return facts;
}

}  // namespace varve
