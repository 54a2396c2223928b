// What the ranks of a run come together for, as rank 0 sees it: a job with its questions (job_task)
// or a bench (bench_task). How ranks meet, are watched over and end is the same for both.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "common/config/cluster_config.h"
#include "common/plan/report.h"
#include "common/wire/orders.h"
#include "common/wire/step.h"
#include "coordinator/cli/site.h"
#include "coordinator/fleet/fleet_watch.h"

namespace varve {

/// What a task is given of the run that it is part of.
struct TaskRun {
  Site site;
  std::function<void(const std::filesystem::path&)> keep_verdict;  // in this file, from now on
  std::function<std::vector<RankStatus>()> status;                 // of every rank
};

/// Called in this order, on rank 0 alone. A mistake of the user is an Error, and then every rank
/// ends with its code.
class Task {
 public:
  virtual ~Task() = default;
  /// Known from the start: what the control plane needs.
  virtual const ClusterConfig& cluster() const = 0;
  /// May take long, and write to standard error.
  virtual Orders prepare(const TaskRun& run) = 0;
  /// Every rank has its layers. The source lives as long as the task.
  virtual StepSource& begin() = 0;
  /// The source has ended. Says what came of it.
  virtual void finish(const std::vector<RankReport>& reports) = 0;
};

using TaskMaker = std::function<std::unique_ptr<Task>()>;

/// Runs the task that `make` gives on the ranks that a launcher started, or on threads; the exit
/// code. `make` is called on rank 0 alone, and may throw.
int run_task(const TaskMaker& make);

}  // namespace varve
