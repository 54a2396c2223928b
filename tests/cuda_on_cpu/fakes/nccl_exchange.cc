// Operations of a communicator as work of streams.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tests/cuda_on_cpu/fakes/nccl_comm.h"
#include "tests/cuda_on_cpu/fakes/nccl_reduce.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {
namespace {

Verb verb_of(const Part& part) {
  if (part.kind == Part::Kind::kSend || part.kind == Part::Kind::kRecv) return kPointToPoint;
  return static_cast<Verb>(part.kind) | static_cast<Verb>(part.type) << 8U |
         static_cast<Verb>(part.op) << 16U;
}

/// The parts of one communicator in one group.
class Exchange {
 public:
  Exchange(std::shared_ptr<Communicator> comm, std::vector<Part> parts)
      : comm_(std::move(comm)), parts_(std::move(parts)), ticket_(comm_->issued++) {}
  ~Exchange() {
    if (!done_ && comm_->failure.empty()) comm_->failure = "an operation before was not run";
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  Progress poll();

 private:
  void start();
  void post(const Part& part);
  void send(const Part& part, int peer);
  void recv(const Part& part, int peer, void* to, std::size_t bytes);
  void finish();
  bool transferred() const;
  Progress poll_started();

  std::shared_ptr<Communicator> comm_;
  std::vector<Part> parts_;
  std::uint64_t ticket_;
  bool started_ = false, done_ = false;
  std::vector<std::shared_ptr<Transfer>> transfers_;
  std::vector<std::vector<std::vector<std::byte>>> gathered_;  // for each all-reduce, by rank
};

Progress Exchange::poll() {
  if (done_ || comm_->aborted) {
    done_ = true;  // what it would have written is undefined then
    return Progress::kDone;
  }
  if (!comm_->failure.empty()) throw KernelError("NCCL: " + comm_->failure);
  if (comm_->finished != ticket_) return Progress::kStuck;
  try {
    return poll_started();
  } catch (const KernelError& error) {
    comm_->fail(error.what());
    throw;
  }
}

Progress Exchange::poll_started() {
  if (!started_) start();
  const bool moved = comm_->progress();
  if (!transferred()) return moved ? Progress::kMoved : Progress::kStuck;
  finish();
  ++comm_->finished;
  done_ = true;
  return Progress::kDone;
}

void Exchange::start() {
  started_ = true;
  for (const Part& part : parts_) {
    for (const Place& place : part.places) check_place(Machine::get(), place, "NCCL");
    post(part);
  }
}

void Exchange::post(const Part& part) {
  const int size = comm_->size;
  switch (part.kind) {
    case Part::Kind::kSend:
      return send(part, part.peer);
    case Part::Kind::kRecv:
      return recv(part, part.peer, part.to, part.bytes());
    case Part::Kind::kBroadcast:
      for (int peer = 0; part.peer == comm_->rank && peer < size; ++peer) send(part, peer);
      return recv(part, part.peer, part.to, part.bytes());
    case Part::Kind::kAllGather:
      for (int peer = 0; peer < size; ++peer) {
        send(part, peer);
        recv(part, peer,
             static_cast<std::byte*>(part.to) + static_cast<std::size_t>(peer) * part.bytes(),
             part.bytes());
      }
      return;
    case Part::Kind::kAllReduce:
      gathered_.emplace_back(static_cast<std::size_t>(size), std::vector<std::byte>(part.bytes()));
      for (int peer = 0; peer < size; ++peer) {
        send(part, peer);
        recv(part, peer, gathered_.back()[static_cast<std::size_t>(peer)].data(), part.bytes());
      }
      return;
  }
}

void Exchange::send(const Part& part, int peer) {
  auto* from = static_cast<std::byte*>(const_cast<void*>(part.from));
  transfers_.push_back(std::make_shared<Transfer>(Transfer{verb_of(part), from, part.bytes()}));
  comm_->links[static_cast<std::size_t>(peer)]->send(transfers_.back());
}

void Exchange::recv(const Part& part, int peer, void* to, std::size_t bytes) {
  transfers_.push_back(
      std::make_shared<Transfer>(Transfer{verb_of(part), static_cast<std::byte*>(to), bytes}));
  comm_->links[static_cast<std::size_t>(peer)]->recv(transfers_.back());
}

bool Exchange::transferred() const {
  return std::all_of(transfers_.begin(), transfers_.end(),
                     [](const auto& transfer) { return transfer->done; });
}

void Exchange::finish() {
  std::size_t next = 0;
  for (const Part& part : parts_) {
    if (part.kind != Part::Kind::kAllReduce) continue;
    reduce(gathered_[next++], part.count, part.type, part.op, part.to);
  }
}

/// What one group queues on one device. Its streams start and end it together.
class GroupRun {
 public:
  GroupRun(const std::vector<Part>& parts, std::size_t streams) : arrived_(streams) {
    std::map<Communicator*, std::vector<Part>> by_comm;
    std::vector<Communicator*> order;
    for (const Part& part : parts) {
      auto& list = by_comm[part.comm.get()];
      if (list.empty()) order.push_back(part.comm.get());
      list.push_back(part);
    }
    for (Communicator* comm : order) {
      exchanges_.push_back(std::make_unique<Exchange>(by_comm[comm].front().comm, by_comm[comm]));
    }
  }

  Progress step(std::size_t stream) {
    arrived_[stream] = true;
    if (std::find(arrived_.begin(), arrived_.end(), false) != arrived_.end()) {
      return Progress::kStuck;
    }
    bool moved = false;
    bool done = true;
    for (const auto& exchange : exchanges_) {
      const Progress progress = exchange->poll();
      moved |= progress == Progress::kMoved;
      done &= progress == Progress::kDone;
    }
    if (done) return Progress::kDone;
    return moved ? Progress::kMoved : Progress::kStuck;
  }

 private:
  std::vector<bool> arrived_;  // by stream
  std::vector<std::unique_ptr<Exchange>> exchanges_;
};

std::string describe(const std::vector<Part>& parts) {
  if (parts.size() == 1) return parts.front().what();
  return fmt::format("{} and {} more", parts.front().what(), parts.size() - 1);
}

ncclResult_t launch_on_device(Call& call, const std::vector<Part>& parts) {
  std::vector<cudaStream_t> streams;
  bool captured = false;
  for (const Part& part : parts) {
    captured |= part.stream->capture != nullptr;
    if (std::find(streams.begin(), streams.end(), part.stream) == streams.end()) {
      streams.push_back(part.stream);
    }
  }
  if (captured && streams.size() > 1) {
    return refuse(call, ncclInvalidUsage, "captured groups over several streams are not faked");
  }
  if (captured) {
    call.machine().put(*streams.front(), {describe(parts), NodeKind::kExchange, [parts]() -> Work {
                                            auto run = std::make_shared<GroupRun>(parts, 1);
                                            return [run] { return run->step(0); };
                                          }});
    return ncclSuccess;
  }
  const auto run = std::make_shared<GroupRun>(parts, streams.size());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    call.machine().push(*streams[i], {describe(parts), [run, i] { return run->step(i); }});
  }
  return ncclSuccess;
}

}  // namespace

std::string verb_name(Verb verb) {
  if (verb == kPointToPoint) return "ncclSend and ncclRecv";
  constexpr const char* kNames[] = {"", "", "ncclAllReduce", "ncclBroadcast", "ncclAllGather"};
  return fmt::format("{} (type {}, operation {})", kNames[verb & 0xffU], verb >> 8U & 0xffU,
                     verb >> 16U & 0xffU);
}

std::size_t Part::bytes() const {
  return count * size_of(type);
}

std::string Part::what() const {
  const std::string at = fmt::format("of {} bytes at rank {}", bytes(), comm->rank);
  switch (kind) {
    case Kind::kSend:
      return fmt::format("ncclSend {} to {}", at, peer);
    case Kind::kRecv:
      return fmt::format("ncclRecv {} from {}", at, peer);
    case Kind::kAllReduce:
      return "ncclAllReduce " + at;
    case Kind::kBroadcast:
      return fmt::format("ncclBroadcast {} from {}", at, peer);
    default:
      return "ncclAllGather " + at;
  }
}

ncclResult_t launch(Call& call, const std::vector<Part>& parts) {
  std::map<int, std::vector<Part>> by_device;
  for (const Part& part : parts) by_device[part.comm->device].push_back(part);
  for (const auto& [device, of_device] : by_device) {
    if (const auto result = launch_on_device(call, of_device)) return result;
  }
  return ncclSuccess;
}

}  // namespace varve::fakes
