// The operations of NCCL as they are called: checked, collected into groups, handed to the streams.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tests/cuda_on_cpu/fakes/nccl_comm.h"
#include "tests/cuda_on_cpu/fakes/nccl_reduce.h"

namespace varve::fakes {
namespace {

/// A group belongs to a thread.
struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<Part> parts;
  std::vector<std::shared_ptr<Communicator>> comms;
};
thread_local Group group;

ncclResult_t check_comm(Call& call, const Communicator& comm) {
  if (comm.error != ncclSuccess) {
    return refuse(call, comm.error, "the communicator failed before");
  }
  if (!comm.usable()) {
    return refuse(call, ncclInvalidUsage,
                  "the communicator is not ready: ncclCommGetAsyncError has not said so, or it "
                  "was finalized");
  }
  return ncclSuccess;
}

ncclResult_t check_stream(Call& call, const Part& part) {
  if (call.check_stream(part.stream) != cudaSuccess) return ncclInvalidArgument;
  if (part.stream->device == part.comm->device) return ncclSuccess;
  return refuse(call, ncclInvalidArgument, "stream and communicator are of two devices");
}

ncclResult_t check_numbers(Call& call, const Part& part) {
  if (size_of(part.type) == 0) {
    return refuse(call, ncclInvalidArgument, fmt::format("type {}", static_cast<int>(part.type)));
  }
  if (part.op < ncclSum || part.op >= ncclNumOps) {
    return refuse(call, ncclInvalidArgument,
                  fmt::format("operation {}", static_cast<int>(part.op)));
  }
  if (part.peer < 0 || part.peer >= part.comm->size) {
    return refuse(call, ncclInvalidArgument,
                  fmt::format("rank {} of {}", part.peer, part.comm->size));
  }
  return ncclSuccess;
}

ncclResult_t check_memory(Call& call, Part& part) {
  const bool gathers = part.kind == Part::Kind::kAllGather;
  const std::size_t taken =
      part.bytes() * (gathers ? static_cast<std::size_t>(part.comm->size) : 1);
  const bool root = part.kind != Part::Kind::kBroadcast || part.peer == part.comm->rank;
  const std::pair<const void*, std::size_t> sides[] = {{root ? part.from : nullptr, part.bytes()},
                                                       {part.to, taken}};
  for (const auto& [p, bytes] : sides) {
    if (p == nullptr || bytes == 0) continue;
    std::string why;
    const auto place = find_place(call.machine(), p, bytes, Side::kDevice, why);
    if (!place) return refuse(call, ncclInvalidArgument, why);
    part.places.push_back(*place);
  }
  const bool sends = part.kind == Part::Kind::kSend;
  const bool takes = part.kind == Part::Kind::kRecv;
  const bool missing = (part.from == nullptr && !takes && root) || (part.to == nullptr && !sends);
  if (missing && part.count > 0) return refuse(call, ncclInvalidArgument, "no buffer");
  return ncclSuccess;
}

ncclResult_t check(Call& call, Part& part) {
  if (const auto result = check_comm(call, *part.comm)) return result;
  if (const auto result = check_stream(call, part)) return result;
  if (const auto result = check_numbers(call, part)) return result;
  return check_memory(call, part);
}

void launch_deferred(Call& call, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (check_stream(call, part) == ncclSuccess) continue;
    part.comm->error = ncclInvalidUsage;
    return;
  }
  if (const auto result = launch(call, parts)) parts.front().comm->error = result;
}

// A non-blocking communicator queues when it is asked whether it has: an event recorded before
// that does not cover the operation, as may be with the real one.
ncclResult_t launch_later(std::vector<Part> parts) {
  std::vector<Communicator*> comms;
  for (const Part& part : parts) {
    if (std::find(comms.begin(), comms.end(), part.comm.get()) == comms.end()) {
      comms.push_back(part.comm.get());
    }
  }
  auto pending = std::make_shared<std::vector<Part>>(std::move(parts));
  for (Communicator* comm : comms) {
    comm->polls = 1;
    comm->deferred.emplace_back([pending](Call& call) {
      const std::vector<Part> once = std::exchange(*pending, {});
      if (!once.empty()) launch_deferred(call, once);
    });
  }
  return ncclInProgress;
}

ncclResult_t launch_now_or_later(Call& call, std::vector<Part> parts) {
  for (const Part& part : parts) {
    if (!part.comm->blocking) return launch_later(std::move(parts));
  }
  return launch(call, parts);
}

ncclResult_t add(Call& call, ncclComm_t handle, Part part) {
  if (handle == nullptr) return refuse(call, ncclInvalidArgument, "no communicator");
  part.comm = handle->it;
  const ncclResult_t result = check(call, part);
  if (result != ncclSuccess) {
    if (group.depth > 0) group.error = result;
    return result;
  }
  if (group.depth == 0) return launch_now_or_later(call, {std::move(part)});
  group.parts.push_back(std::move(part));
  return ncclSuccess;
}

ncclResult_t end_group(Call& call) {
  if (group.depth == 0) return refuse(call, ncclInvalidUsage, "no group was started");
  if (--group.depth > 0) return ncclSuccess;
  Group ended = std::exchange(group, {});
  if (ended.error != ncclSuccess) {
    return refuse(call, ended.error, "a call in the group failed, so nothing of it was done");
  }
  if (const auto result = wait_for_ranks(call, ended.comms)) return result;
  return launch_now_or_later(call, std::move(ended.parts));
}

}  // namespace

bool group_is_open() {
  return group.depth > 0;
}

void add_to_group(std::shared_ptr<Communicator> comm) {
  group.comms.push_back(std::move(comm));
}

}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;
using varve::fakes::Part;

ncclResult_t ncclGroupStart() {
  Call call("ncclGroupStart");
  ++varve::fakes::group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  Call call("ncclGroupEnd");
  return varve::fakes::end_group(call);
}

ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  Call call("ncclSend");
  return varve::fakes::add(
      call, comm, {Part::Kind::kSend, nullptr, from, nullptr, count, type, ncclSum, peer, stream});
}

ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  Call call("ncclRecv");
  return varve::fakes::add(
      call, comm, {Part::Kind::kRecv, nullptr, nullptr, to, count, type, ncclSum, peer, stream});
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  Call call("ncclAllReduce");
  return varve::fakes::add(call, comm,
                           {Part::Kind::kAllReduce, nullptr, from, to, count, type, op, 0, stream});
}

ncclResult_t ncclBroadcast(const void* from, void* to, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  Call call("ncclBroadcast");
  return varve::fakes::add(
      call, comm, {Part::Kind::kBroadcast, nullptr, from, to, count, type, ncclSum, root, stream});
}

ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  Call call("ncclAllGather");
  return varve::fakes::add(
      call, comm, {Part::Kind::kAllGather, nullptr, from, to, count, type, ncclSum, 0, stream});
}

}  // extern "C"
