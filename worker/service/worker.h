// One rank's part of a run: builds backend, model, cache and stage from the orders, then runs the
// stage. The composition root of the worker side.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/wire/orders.h"
#include "worker/comm/communicator.h"
#include "worker/comm/row_transport.h"
#include "worker/pipeline/stage.h"
#include "worker/service/rank_threads.h"

namespace varve {

class Worker {
 public:
  /// Loads this rank's layers. Errors name the file. `comm` must outlive this. The calling thread
  /// is pinned with the backend's own until the end of the Worker, so it starts no thread meanwhile
  /// that should run elsewhere.
  Worker(const Orders& orders, Communicator& comm, const RankThreads& threads);

  /// Runs the stage to its end. `source` on rank 0 alone.
  void run(StepSource* source, StageHooks hooks);

  std::string backend() const { return ops_->describe(); }
  /// By which way activations come and go; empty before `run`.
  std::string row_transport() const { return rows_ ? rows_->describe() : ""; }
  Traffic traffic() const;
  /// Of the threads that compute, in their order; empty: they are not pinned.
  const std::vector<std::uint32_t>& pinned_cores() const { return pinned_cores_; }
  StageTimes times() const { return stage_ ? stage_->times() : StageTimes{}; }
  std::vector<LayerReceipt> receipts() const {
    return stage_ ? stage_->receipts() : std::vector<LayerReceipt>{};
  }
  AuditReport audit() const { return stage_ ? stage_->audit() : AuditReport{}; }
  /// Counted where they were allocated; kv at its peak.
  Footprint bytes() const;

 private:
  LayerRange layers() const;

  Orders orders_;
  Communicator& comm_;
  std::unique_ptr<Ops> ops_;
  std::vector<std::uint32_t> pinned_cores_;
  Model model_;
  std::unique_ptr<StageModel> stage_model_;
  std::unique_ptr<RowTransport> rows_;  // from `run` on
  std::optional<Stage> stage_;
};

/// The most memory that this process has held, in bytes (VmHWM), or 0 where it cannot be read.
std::size_t peak_resident_bytes();

}  // namespace varve
