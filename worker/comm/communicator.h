// Messages between ranks. One interface, two transports (ranks as threads of one process, MPI): the
// same tests run on both. Messages of one (source, tag) arrive in the order in which they were
// sent. Every wait has a deadline; what it throws names self, peer, tag and how long.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/comm/tags.h"

namespace varve {

/// How long to wait, and for the error message: for what. `what` must outlive the call.
struct Waiting {
  std::chrono::milliseconds limit;
  std::string_view what;  // "activations of step 17"
};

/// Bytes and messages sent, by tag.
struct Traffic {
  struct Count {
    std::uint64_t bytes = 0;
    std::uint64_t messages = 0;
  };
  std::array<Count, static_cast<std::size_t>(Tag::kCount)> by_tag{};
};

/// A started send. The bytes must stay untouched until `Communicator::wait` on it returned; if that
/// never happens, until the communicator is destroyed: declare buffers before it.
struct PendingSend {
  std::uint64_t id = 0;
};

/// Used by one thread at a time, except `cancel` and `cancelled`, which are any thread's at any
/// time.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Starts a send and returns. It progresses while the caller computes.
  virtual PendingSend send(std::span<const std::byte> bytes, int peer, Tag tag) = 0;
  /// Returns when the send's bytes may be reused. PeerError past the deadline: the send is still
  /// under way then, and may be waited for again.
  virtual void wait(PendingSend send, Waiting waiting) = 0;
  /// Receives exactly into.size() bytes. A message of another size is an error naming both, and
  /// stays for recv_message.
  virtual void recv(std::span<std::byte> into, int peer, Tag tag, Waiting waiting) = 0;
  /// Receives one message of whatever size was sent.
  virtual std::vector<std::byte> recv_message(int peer, Tag tag, Waiting waiting) = 0;
  /// Whether a message of that kind has arrived. Does not wait.
  virtual bool arrived(int peer, Tag tag) = 0;

  /// `bytes` of `root` replace those of every other rank; returns when this rank's part is done.
  virtual void broadcast(std::vector<std::byte>& bytes, int root, Tag tag, Waiting waiting) = 0;
  /// At `root`: what each rank passed, by rank. Elsewhere: empty.
  virtual std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes, int root,
                                                     Tag tag, Waiting waiting) = 0;

  /// Ends every wait and send of this rank, now and later, with a PeerError that carries the reason
  /// (the first one, if called again).
  virtual void cancel(const std::string& reason) = 0;
  /// That reason, for who waits for a peer by other ways than this.
  virtual std::optional<std::string> cancelled() const = 0;

  virtual Traffic traffic() const = 0;
};

}  // namespace varve
