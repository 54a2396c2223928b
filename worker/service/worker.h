// One rank's part of a run: builds backend, model, cache and stage from the orders, then runs the
// stage. The composition root of the worker side.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/wire/orders.h"
#include "worker/comm/communicator.h"
#include "worker/pipeline/stage.h"

namespace varve {

/// Bytes that a rank holds, by the same lines as common/plan's Footprint, counted where they were
/// allocated.
struct ActualBytes {
  std::size_t weights = 0;
  std::size_t kv_peak = 0;
  std::size_t workspace = 0;
  std::size_t channel = 0;
};

class Worker {
 public:
  /// Loads this rank's layers. Errors name the file. `comm` must outlive this.
  Worker(const Orders& orders, Communicator& comm, std::size_t local_ranks);

  /// Runs the stage to its end. `source` on rank 0 alone.
  void run(StepSource* source, StageHooks hooks);

  std::string backend() const { return ops_->describe(); }
  StageTimes times() const { return stage_ ? stage_->times() : StageTimes{}; }
  ActualBytes bytes() const;

 private:
  LayerRange layers() const;

  Orders orders_;
  Communicator& comm_;
  std::unique_ptr<Ops> ops_;
  Model model_;
  std::unique_ptr<StageModel> stage_model_;
  std::optional<Stage> stage_;
};

/// The most memory that this process has held, in bytes (VmHWM), or 0 where it cannot be read.
std::size_t peak_resident_bytes();

}  // namespace varve
