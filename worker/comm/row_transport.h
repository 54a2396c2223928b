// How rows of activations get from the memory of one rank's backend into that of a neighbour's.
// Small messages (headers, credits, tokens) always go through the Communicator; rows may have a
// faster way, from device to device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "worker/comm/communicator.h"

namespace varve {

/// To one peer. The caller names a slot for each send, and uses a slot again when it has waited for
/// it. Memory is the backend's; work is in the order in which it was put on the backend.
class RowSender {
 public:
  virtual ~RowSender() = default;
  /// Copies rows, at most as many floats as a slot has, and starts to send them. What the caller
  /// lets the backend do later with their memory does not change what is sent.
  virtual void send(std::size_t slot, std::span<const float> rows) = 0;
  /// Returns when the slot may be used again. PeerError past the deadline.
  virtual void wait(std::size_t slot, Waiting waiting) = 0;
  /// Of all slots.
  virtual std::size_t buffer_bytes() const = 0;
};

/// From one peer, in the order in which it sent.
class RowReceiver {
 public:
  virtual ~RowReceiver() = default;
  /// What the caller lets the backend do from now on finds the rows in `into`; what it was told to
  /// do before is not disturbed. PeerError past the deadline.
  virtual void receive(std::span<float> into, Waiting waiting) = 0;
  virtual std::size_t buffer_bytes() const = 0;
};

class RowTransport {
 public:
  virtual ~RowTransport() = default;
  /// "host memory", "NCCL 2.28.9".
  virtual std::string describe() const = 0;
  // What they give must not outlive this, and there is at most one for a peer.
  /// `slots` slots of `floats` floats.
  virtual std::unique_ptr<RowSender> sender(int peer, std::size_t floats, std::size_t slots) = 0;
  /// Rows of at most `floats` floats.
  virtual std::unique_ptr<RowReceiver> receiver(int peer, std::size_t floats) = 0;
  /// What this rank sent so, if the Communicator has not counted it.
  virtual Traffic::Count sent() const = 0;
};

}  // namespace varve
