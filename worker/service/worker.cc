#include "worker/service/worker.h"

#include <algorithm>
#include <fstream>

#include "common/cores.h"
#include "common/error.h"
#include "kernels/backend.h"
#include "worker/comm/nccl/nccl_rows.h"
#include "worker/pipeline/host_rows.h"

namespace varve {
namespace {

// What was asked for, if the system did it: a pool pins its calling thread last.
std::vector<std::uint32_t> cores_held(const std::vector<std::uint32_t>& asked) {
  const bool pinned = !asked.empty() && allowed_cores() == std::vector{asked.front()};
  return pinned ? asked : std::vector<std::uint32_t>{};
}

int device_of(const Orders& orders, int rank) {
  if (orders.devices.empty()) return 0;
  return static_cast<int>(orders.devices.at(static_cast<std::size_t>(rank)));
}

// Every second link of the pipeline is made first, so that none waits for more than one other.
std::vector<int> neighbours(int rank, int size) {
  std::vector<int> peers;
  const bool even = rank % 2 == 0;
  for (const int peer : {rank + (even ? 1 : -1), rank + (even ? -1 : 1)}) {
    if (peer >= 0 && peer < size) peers.push_back(peer);
  }
  return peers;
}

std::unique_ptr<RowTransport> make_rows(const Orders& orders, Communicator& comm, Ops& ops) {
  if (orders.row_path != RowPath::kNccl) return make_host_rows(comm, ops);
  return make_nccl_rows(comm, neighbours(comm.rank(), comm.size()), ops.queue(),
                        {std::chrono::milliseconds(orders.step_deadline_ms), "its GPU to connect"});
}

}  // namespace

Worker::Worker(const Orders& orders, Communicator& comm, const RankThreads& threads)
    : orders_(orders),
      comm_(comm),
      ops_(make_ops(orders.backend, {.threads = threads.count,
                                     .cores = threads.cores,
                                     .device = device_of(orders, comm.rank()),
                                     .graphs = orders.device_graphs})),
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
  rows_ = make_rows(orders_, comm_, *ops_);
  stage_.emplace(*stage_model_, Stage::Links{comm_, *rows_}, *ops_, options, source,
                 std::move(hooks));
  stage_->run();
}

Traffic Worker::traffic() const {
  Traffic traffic = comm_.traffic();
  if (rows_ != nullptr) {
    const Traffic::Count sent = rows_->sent();
    Traffic::Count& count = traffic.by_tag[static_cast<std::size_t>(Tag::kActivations)];
    count.bytes += sent.bytes;
    count.messages += sent.messages;
  }
  return traffic;
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
