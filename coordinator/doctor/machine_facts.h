// What a rank knows of its machine that can keep ranks from working together, or slow them down.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/wire/archive.h"
#include "worker/service/machine.h"

namespace varve {

struct NamedAddress {
  std::string interface;  // "eth0"
  std::string address;
  bool loopback = false;
};
template <class A>
void visit(A& a, NamedAddress& n) {
  a(n.interface, n.address, n.loopback);
}

struct MachineFacts {
  RankMachine machine;
  std::string version;                   // of varve
  std::string mpi;                       // "Open MPI v4.1.4", or empty where ranks are threads
  std::string cuda;                      // "driver 13.0, runtime 13.0", or empty
  std::uint64_t cores = 0;               // of the machine
  std::uint64_t usable_cores = 0;        // by this rank
  std::uint64_t memory = 0;              // bytes of the machine
  std::uint64_t shared_memory = 0;       // bytes of /dev/shm; 0: there is none
  std::uint64_t shared_memory_free = 0;  // of them
  std::vector<NamedAddress> addresses;
  std::vector<std::string> settings;  // "NCCL_DEBUG=INFO": of the environment, for NCCL and MPI
};
template <class A>
void visit(A& a, MachineFacts& f) {
  a(f.machine, f.version, f.mpi, f.cuda, f.cores, f.usable_cores, f.memory, f.shared_memory,
    f.shared_memory_free, f.addresses, f.settings);
}

/// Of this process. `mpi`: it is a rank of one.
MachineFacts facts_here(bool mpi);

}  // namespace varve
