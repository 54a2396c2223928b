// MPI_Init blocks until every rank is in it.
#pragma once

#include <chrono>
#include <string>

#include "worker/comm/mpi_communicator.h"
#include "worker/service/exit_timer.h"

namespace varve {

/// "rank 2 on node-b", before MPI says so.
std::string name_of(const Launch& launch);

/// Ends the process, with a line that says who waited, if it lives longer than the limit.
class StartLimit {
 public:
  StartLimit(const std::string& name, std::chrono::milliseconds limit);

 private:
  ExitTimer timer_;
};

}  // namespace varve
