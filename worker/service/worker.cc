#include "worker/service/worker.h"

#include <algorithm>
#include <fstream>

#include "common/cores.h"
#include "common/error.h"

namespace varve {
namespace {

std::size_t thread_count(const Orders& orders, std::size_t local_ranks) {
  return orders.threads > 0 ? orders.threads : cores_of_a_rank(local_ranks);
}

}  // namespace

Worker::Worker(const Orders& orders, Communicator& comm, std::size_t local_ranks)
    : orders_(orders),
      comm_(comm),
      ops_(make_ops(orders.backend, thread_count(orders, local_ranks))),
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
