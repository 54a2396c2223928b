// What the transports share: collectives over sends and receives, traffic counts, error texts.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"

namespace varve {

/// What one call waits for, for its error message.
struct Awaited {
  int peer;
  Tag tag;
  std::optional<std::size_t> bytes;  // unknown before a message of any size
  bool sending;
};

/// "rank 1 waited 3.0 s for rank 0: activations of step 17 (kActivations, 1179648 bytes)", and the
/// reason after it if there is one other than the deadline.
std::string wait_error(int rank, const Awaited& awaited, std::string_view what,
                       std::chrono::steady_clock::time_point since, std::string_view reason = {});

/// Root talks to every rank in turn: with a few dozen ranks and a handful of collectives per run a
/// tree would save nothing that shows.
class CommunicatorBase : public Communicator {
 public:
  void broadcast(std::vector<std::byte>& bytes, int root, Tag tag, Waiting waiting) final;
  std::vector<std::vector<std::byte>> gather(std::span<const std::byte> bytes, int root, Tag tag,
                                             Waiting waiting) final;
  Traffic traffic() const final { return traffic_; }

 protected:
  /// A failed check unless the peer is a rank and the tag is one of the enum.
  void check_address(int peer, Tag tag) const;
  void count_sent(std::size_t bytes, Tag tag);

  /// PeerError with wait_error's text.
  [[noreturn]] void fail(const Awaited& awaited, std::string_view what,
                         std::chrono::steady_clock::time_point since,
                         std::string_view reason = {}) const;
  [[noreturn]] void fail_size(const Awaited& awaited, std::string_view what,
                              std::size_t arrived) const;

 private:
  Traffic traffic_;
};

/// "250 ms" below a second, "3.0 s" above.
std::string waited_text(std::chrono::steady_clock::duration waited);

}  // namespace varve
