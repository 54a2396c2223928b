#include "worker/service/worker.h"

#include <algorithm>
#include <fstream>

#include "common/cores.h"
#include "common/error.h"
#include "kernels/backend.h"

namespace varve {
namespace {

// What was asked for, if the system did it: a pool pins its calling thread last.
std::vector<std::uint32_t> cores_held(const std::vector<std::uint32_t>& asked) {
  const bool pinned = !asked.empty() && allowed_cores() == std::vector{asked.front()};
  return pinned ? asked : std::vector<std::uint32_t>{};
}

}  // namespace

Worker::Worker(const Orders& orders, Communicator& comm, const RankThreads& threads)
    : orders_(orders),
      comm_(comm),
      ops_(make_ops(orders.backend, {.threads = threads.count, .cores = threads.cores})),
      pinned_cores_(cores_held(threads.cores)),
      model_(load_model_header(orders.model)) {
  VARVE_CHECK(orders.stages.size() == static_cast<std::size_t>(comm.size()),
              "{} stages for {} ranks", orders.stages.size(), comm.size());
  stage_model_ = std::make_unique<StageModel>(model_, layers(), orders.rows, orders.samples, *ops_);
}

LayerRange Worker::layers() const {
  return orders_.stages[static_cast<std::size_t>(comm_.rank())];
}

void Worker::run(StepSource* source, StageHooks hooks) {
  const Stage::Options options{.rows = orders_.rows,
                               .in_flight = orders_.in_flight,
                               .kv_dtype = orders_.kv_dtype,
                               .policies = orders_.policies,
                               .plain_slots = orders_.plain_slots,
                               .probe_rows = orders_.probe_rows,
                               .audit = orders_.audit,
                               .deadline = std::chrono::milliseconds(orders_.step_deadline_ms)};
  stage_.emplace(*stage_model_, comm_, *ops_, options, source, std::move(hooks));
  stage_->run();
}

Footprint Worker::bytes() const {
  Footprint bytes;
  bytes.weights = stage_model_->weight_bytes();
  bytes.workspace = stage_model_->workspace_bytes();
  if (stage_) {
    bytes.kv = stage_->ledger().peak();
    bytes.channel = stage_->channel_bytes();
  }
  return bytes;
}

std::size_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    std::size_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

}  // namespace varve
