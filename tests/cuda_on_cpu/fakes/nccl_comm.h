// Communicators of the fake NCCL and what is queued on them.
#pragma once

#include <nccl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/memory_place.h"
#include "tests/cuda_on_cpu/fakes/nccl_link.h"
#include "tests/cuda_on_cpu/fakes/nccl_mesh.h"

namespace varve::fakes {

/// Queued operations keep it, whatever becomes of the handle. Guarded by the machine's lock.
struct Communicator {
  int rank = 0, size = 0;
  int device = 0;
  bool blocking = true;
  std::string name;
  int splits = 0;                            // that were begun
  std::unique_ptr<Mesh> mesh;                // while the ranks look for each other
  std::vector<std::unique_ptr<Link>> links;  // by rank
  std::uint64_t issued = 0, finished = 0;    // operations run one after the other, as issued
  ncclResult_t error = ncclSuccess;
  bool aborted = false, finalized = false;
  std::string failure;                               // of an operation: no other can follow
  std::vector<std::function<void(Call&)>> deferred;  // what a non-blocking call has yet to do
  int polls = 0;                                     // for which it is still in progress

  /// Goes on with what a non-blocking call began, and notices ranks that were lost.
  ncclResult_t poll(Call& call);
  /// Finds the other ranks. With a split, those of one color.
  ncclResult_t connect();
  /// Moves data. KernelError if ranks disagree.
  bool progress();
  void fail(const std::string& why);
  bool usable() const { return mesh == nullptr && deferred.empty() && !aborted && !finalized; }
  bool settled() const {
    return issued == finished || aborted || !failure.empty() || error != ncclSuccess;
  }
};

/// One operation between ncclGroupStart and ncclGroupEnd, or alone.
struct Part {
  enum class Kind { kSend, kRecv, kAllReduce, kBroadcast, kAllGather };
  Kind kind;
  std::shared_ptr<Communicator> comm;
  const void* from = nullptr;
  void* to = nullptr;
  std::size_t count = 0;
  ncclDataType_t type = ncclInt8;
  ncclRedOp_t op = ncclSum;
  int peer = 0;  // or root
  cudaStream_t stream = nullptr;
  std::vector<Place> places = {};

  std::size_t bytes() const;
  std::string what() const;
};

/// Queues parts that were grouped: those of one device progress together.
ncclResult_t launch(Call& call, const std::vector<Part>& parts);

ncclResult_t refuse(Call& call, ncclResult_t result, const std::string& why);

/// Whether a group is open in this thread; then communicators are found at its end.
bool group_is_open();
void add_to_group(std::shared_ptr<Communicator> comm);
/// Lets the other threads and the device go on until the ranks of each have met.
ncclResult_t wait_for_ranks(Call& call, const std::vector<std::shared_ptr<Communicator>>& comms);

}  // namespace varve::fakes

struct ncclComm {
  std::shared_ptr<varve::fakes::Communicator> it;
};
