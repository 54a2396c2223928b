// One rank of a run, whatever carries its messages: meets the others, loads its layers, runs its
// stage, reports. Rank 0 hosts the coordinator as well (first_rank.cc).
//
// The control plane comes first: as soon as rank 0 knows its settings, every rank learns where it
// is and joins. All that takes long (reading the document, loading, the run) is watched over.
#pragma once

#include <functional>

#include "common/plan/report.h"
#include "common/wire/orders.h"
#include "common/wire/step.h"
#include "coordinator/cli/process_end.h"
#include "coordinator/cli/supervisor.h"
#include "coordinator/cli/task.h"
#include "worker/comm/communicator.h"

namespace varve {

/// What a rank is given by whoever runs it.
struct RankContext {
  std::function<Task&()> task;  // called on rank 0 alone
  ProcessEnd& end;
  Supervisor* supervisor = nullptr;  // none where ranks are threads
};

struct RankEnd {
  int code = 0;
  bool together = false;  // every rank ends so: an orderly end, though the code may be non-zero
};

/// What went wrong has been said by the time it returns. Throws before the control plane stands.
RankEnd run_rank(Communicator& comm, const RankContext& context);

// --- between rank.cc and first_rank.cc ---

RankEnd run_first_rank(Communicator& comm, const RankContext& context);

/// Runs `part`, which returns the code of an orderly end, with a client of the control plane;
/// whatever it throws becomes a verdict. `joined` comes first, when the client has been welcomed.
struct RankPart {
  std::function<void(ControlClient&)> joined;
  std::function<int(ControlClient&, const std::string& host)> run;
};
RankEnd with_client(const Bootstrap& bootstrap, Communicator& comm, const RankContext& context,
                    const RankPart& part);

/// A rank's life from its orders to its report. `task` is given on rank 0 alone.
void live(const Orders& orders, std::chrono::milliseconds start_deadline, Communicator& comm,
          ControlClient& client, const std::string& host, Task* task);

}  // namespace varve
