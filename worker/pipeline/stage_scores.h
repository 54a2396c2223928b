// Scores of streams, added up over the stages: every stage sends its sums to every other one, down
// and up the pipeline, apart from the activations.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "worker/cache/score_exchange.h"
#include "worker/comm/communicator.h"

namespace varve {

/// Sends and never waits for another stage to take its sums: that stage may need rows first that
/// come behind this one's. What has arrived is learnt from what comes back: each message says how
/// many its sender has received from everyone.
class StageScores final : public ScoreExchange {
 public:
  /// `on_wait` hears of each wait, with the rank that is waited for. `comm` must outlive this.
  StageScores(Communicator& comm, std::chrono::milliseconds deadline,
              std::function<void(int peer)> on_wait);

  std::uint64_t give(std::span<const std::int64_t> sums) override;
  /// PeerError past the deadline.
  std::vector<std::int64_t> take(std::uint64_t number) override;
  /// Waits until everything has arrived, here and at the others.
  void flush();

  std::size_t under_way() const { return letters_.size(); }

 private:
  struct Letter {
    std::vector<std::byte> bytes;
    std::vector<PendingSend> sends;  // to the other ranks, in their order
  };
  void receive_until(std::uint64_t count);
  void receive(int peer);
  void reclaim(std::uint64_t arrived);

  Communicator& comm_;
  std::chrono::milliseconds deadline_;
  std::function<void(int peer)> on_wait_;
  std::deque<Letter> letters_;                               // oldest first, number `reclaimed_`
  std::uint64_t reclaimed_ = 0;                              // letters that have arrived everywhere
  std::map<std::uint64_t, std::vector<std::int64_t>> sums_;  // by number, of those heard so far
  std::vector<std::uint64_t> received_;                      // by rank
  std::vector<std::uint64_t> arrived_;                       // by rank, as they say
};

}  // namespace varve
