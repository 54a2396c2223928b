// The way back: sampled tokens from the last stage to stage 0.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/wire/step.h"
#include "worker/comm/communicator.h"

namespace varve {

/// Sends results and never waits for stage 0 to take one. Stage 0 may be waiting for room on its
/// channel, which only the last stage's progress makes: a wait here could close a circle. What has
/// been taken is learnt from the steps instead: one that samples or releases a sequence left stage
/// 0 after the sequence's last result had come in, and with it all results that were sent before.
/// So no more results are under way than there are open sequences.
class ResultOutbox {
 public:
  /// To rank 0.
  ResultOutbox(Communicator& comm, std::chrono::milliseconds deadline)
      : comm_(comm), deadline_(deadline) {}

  void send(const StepResult& result);
  /// A step that samples or releases `sequence` has come: forgets what stage 0 has taken.
  void settle(std::uint32_t sequence);
  /// Waits until stage 0 has taken everything.
  void flush();

  std::size_t under_way() const { return letters_.size(); }

 private:
  struct Letter {
    std::vector<std::uint32_t> sequences;
    std::vector<std::byte> bytes;
    PendingSend send;
  };
  void reclaim_oldest();

  Communicator& comm_;
  std::chrono::milliseconds deadline_;
  std::deque<Letter> letters_;  // oldest first
};

}  // namespace varve
