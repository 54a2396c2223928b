// One rank of a run, whatever carries its messages: meets the others, loads its layers, runs its
// stage, reports. Rank 0 hosts the coordinator as well.
#pragma once

#include <functional>

#include "coordinator/cli/prepared_job.h"
#include "coordinator/cli/process_end.h"
#include "worker/comm/communicator.h"

namespace varve {

/// Returns the exit code; what went wrong has been said by then. `prepare` is called on rank 0.
int run_rank(Communicator& comm, const std::function<PreparedJob()>& prepare, ProcessEnd& end);

}  // namespace varve
