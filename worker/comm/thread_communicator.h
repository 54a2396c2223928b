// Ranks as threads of one process. Behaves as MPI does where a caller could tell: a small message
// is sent once it is posted, a large one when its receiver has taken it, so an order of calls that
// would deadlock there deadlocks here too. Unlike MPI it can delay and lose messages on purpose.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "worker/comm/communicator.h"

namespace varve {

/// What goes wrong on purpose. The same seed gives the same delays and losses to the same messages.
struct Faults {
  std::uint64_t seed = 0;
  /// Each message arrives up to this much later. Messages of one (source, tag) keep their order,
  /// others overtake each other.
  std::chrono::microseconds max_delay{0};
  /// Share of the messages that never arrive, in [0, 1].
  double drop = 0.0;
  /// Lose messages of this tag only.
  std::optional<Tag> drop_only = std::nullopt;
};

struct ThreadOptions {
  Faults faults = {};
  /// Up to so many bytes a send is done when it is posted.
  std::size_t eager_bytes = 4096;
  /// Whether `wait` checks that the bytes of a send were left alone (costs one pass over them).
  bool check_sent_bytes = false;
};

class ThreadWorld {
 public:
  explicit ThreadWorld(int size, ThreadOptions options = {});
  ~ThreadWorld();
  ThreadWorld(const ThreadWorld&) = delete;
  ThreadWorld& operator=(const ThreadWorld&) = delete;

  int size() const;
  /// Once per rank, from any thread; may outlive the world. When it is destroyed the rank has left:
  /// who waits for it, beyond what it had sent, fails at once.
  std::unique_ptr<Communicator> communicator(int rank);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace varve
