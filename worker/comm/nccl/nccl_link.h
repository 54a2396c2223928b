// The devices of two ranks, connected by NCCL: a communicator of its own for each pair, so that no
// transfer stands behind one of another pair.
#pragma once

#include <nccl.h>

#include <chrono>
#include <cstddef>
#include <string>

#include "kernels/cuda/device.h"
#include "worker/comm/communicator_base.h"

namespace varve::nccl {

/// A wait for the peer, from now on.
struct Wait {
  Awaited awaited;
  Waiting waiting;
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
};

/// Of the calling thread's current device. NCCL is told never to block; all waits poll here, so
/// that each has a deadline and ends when `comm` is cancelled. A wait that fails aborts the link
/// and throws PeerError.
class Link {
 public:
  /// Connects, and exchanges a byte each way: NCCL makes the connection only then. The peer does
  /// the same. `comm` carries the id, and must outlive this.
  Link(Communicator& comm, int peer, Waiting waiting);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  int peer() const { return peer_; }
  /// Puts a transfer on the stream; it begins when both ends have come to it.
  void send(const void* from, const Wait& wait, cudaStream_t stream);
  void recv(void* to, const Wait& wait, cudaStream_t stream);
  /// Until the event is reached.
  void wait(const cuda::Event& event, const Wait& wait);
  /// Ends what is under way on both devices. The link is of no use then.
  void abort();

 private:
  void meet(const Wait& wait);
  void settle(ncclResult_t result, const Wait& wait);
  void end_if_due(const Wait& wait);
  [[noreturn]] void fail(const Wait& wait, const std::string& reason);
  std::string words(ncclResult_t result) const;

  Communicator& comm_;
  int peer_;
  ncclComm_t nccl_ = nullptr;  // null: aborted
};

}  // namespace varve::nccl
