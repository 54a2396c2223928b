#include "worker/comm/nccl/nccl_link.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "common/error.h"
#include "worker/comm/backoff.h"

namespace varve::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kGoodbyeLimit = std::chrono::seconds(5);

/// Of the two.
int peer_rank(const Communicator& comm, int peer) {
  return comm.rank() < peer ? 1 : 0;
}

}  // namespace

Link::Link(Communicator& comm, int peer, Waiting waiting) : comm_(comm), peer_(peer) {
  const Wait wait{{peer, Tag::kLink, std::nullopt, false}, waiting};
  ncclUniqueId id{};
  const auto bytes = std::as_writable_bytes(std::span(&id, 1));
  const bool first = comm.rank() < peer;
  if (first) {
    settle(ncclGetUniqueId(&id), wait);
    comm.wait(comm.send(bytes, peer, Tag::kLink), waiting);
  } else {
    comm.recv(bytes, peer, Tag::kLink, waiting);
  }
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  settle(ncclCommInitRankConfig(&nccl_, 2, id, first ? 0 : 1, &config), wait);
  try {
    meet(wait);
  } catch (...) {
    abort();  // nobody will destroy what was never made
    throw;
  }
}

void Link::meet(const Wait& wait) {
  const cuda::Stream stream;
  const cuda::DeviceMemory bytes(2);
  cuda::check(cudaMemsetAsync(bytes.data(), 0, 2, stream.get()), "write to its memory");
  cuda::Event met;
  const int peer = peer_rank(comm_, peer_);
  // Within a group nothing begins; its end says what came of the calls.
  settle(ncclGroupStart(), wait);
  static_cast<void>(ncclSend(bytes.data(), 1, ncclUint8, peer, nccl_, stream.get()));
  static_cast<void>(ncclRecv(bytes.data() + 1, 1, ncclUint8, peer, nccl_, stream.get()));
  settle(ncclGroupEnd(), wait);
  met.record(stream.get());
  this->wait(met, wait);
}

Link::~Link() {
  if (nccl_ == nullptr) return;
  if (std::uncaught_exceptions() > 0) {
    abort();
    return;
  }
  ncclResult_t state = ncclCommFinalize(nccl_);
  const auto since = Clock::now();
  Backoff backoff;
  while (state == ncclInProgress && Clock::now() - since < kGoodbyeLimit) {
    backoff.pause();
    if (ncclCommGetAsyncError(nccl_, &state) != ncclSuccess) state = ncclInternalError;
  }
  if (state != ncclSuccess) {
    abort();
    return;
  }
  static_cast<void>(ncclCommDestroy(std::exchange(nccl_, nullptr)));
}

void Link::send(const void* from, const Wait& wait, cudaStream_t stream) {
  settle(ncclSend(from, *wait.awaited.bytes, ncclUint8, peer_rank(comm_, peer_), nccl_, stream),
         wait);
}

void Link::recv(void* to, const Wait& wait, cudaStream_t stream) {
  settle(ncclRecv(to, *wait.awaited.bytes, ncclUint8, peer_rank(comm_, peer_), nccl_, stream),
         wait);
}

void Link::wait(const cuda::Event& event, const Wait& wait) {
  Backoff backoff;
  try {
    while (!event.reached()) {
      ncclResult_t state = ncclSuccess;
      const ncclResult_t asked = ncclCommGetAsyncError(nccl_, &state);
      if (asked != ncclSuccess) fail(wait, words(asked));
      if (state != ncclSuccess && state != ncclInProgress) fail(wait, words(state));
      end_if_due(wait);
      backoff.pause();
    }
  } catch (...) {
    abort();
    throw;
  }
}

void Link::abort() {
  if (nccl_ != nullptr) static_cast<void>(ncclCommAbort(std::exchange(nccl_, nullptr)));
}

// Until NCCL is done with a call that it has begun.
void Link::settle(ncclResult_t result, const Wait& wait) {
  Backoff backoff;
  while (result == ncclInProgress) {
    end_if_due(wait);
    const ncclResult_t asked = ncclCommGetAsyncError(nccl_, &result);
    if (asked != ncclSuccess) result = asked;
    if (result == ncclInProgress) backoff.pause();
  }
  if (result != ncclSuccess) fail(wait, words(result));
}

void Link::end_if_due(const Wait& wait) {
  if (const auto reason = comm_.cancelled()) fail(wait, *reason);
  if (Clock::now() - wait.since >= wait.waiting.limit) fail(wait, {});
}

void Link::fail(const Wait& wait, const std::string& reason) {
  abort();
  throw PeerError(wait_error(comm_.rank(), wait.awaited, wait.waiting.what, wait.since, reason));
}

std::string Link::words(ncclResult_t result) const {
  const char* last = ncclGetLastError(nccl_);
  const bool says = last != nullptr && *last != '\0';
  return fmt::format("NCCL: {}{}{}", ncclGetErrorString(result), says ? ": " : "",
                     says ? last : "");
}

}  // namespace varve::nccl
