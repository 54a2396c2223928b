// The link to a neighbour stage: a step's header, then its activations. At most `in_flight` steps
// are under way on a link; the receiver gives a credit back for each that it has taken, so memory
// is bounded and the bound stands in the plan.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "common/tensor.h"
#include "common/wire/step.h"
#include "worker/comm/communicator.h"
#include "worker/comm/row_transport.h"

namespace varve {

class Outlet {
 public:
  /// To rank `peer`, activations by way of `rows`, which has `in_flight` slots.
  Outlet(Communicator& comm, int peer, std::unique_ptr<RowSender> rows, std::size_t in_flight,
         std::chrono::milliseconds deadline);

  /// Copies the step and its activations [T, hidden] (none unless kRows) and starts to send them.
  /// Waits for a credit if in_flight steps are under way.
  void pass(const Step& step, ConstMatrix activations);
  /// Waits until everything passed has been taken.
  void flush();

  std::size_t buffer_bytes() const { return rows_->buffer_bytes(); }
  std::uint64_t wait_ns() const { return wait_ns_; }

 private:
  struct Slot {
    std::vector<std::byte> header;
    PendingSend header_send;
    bool has_activations = false;
    std::uint64_t step = 0;
  };
  void reclaim_oldest();

  Communicator& comm_;
  int peer_;
  std::unique_ptr<RowSender> rows_;
  std::chrono::milliseconds deadline_;
  std::vector<Slot> slots_;  // [in_flight], and so has rows_
  std::size_t next_ = 0;
  std::size_t under_way_ = 0;
  std::uint64_t wait_ns_ = 0;
};

class Inlet {
 public:
  /// From rank `peer`, whose outlet has the same `in_flight`.
  Inlet(Communicator& comm, int peer, std::unique_ptr<RowReceiver> rows, std::size_t in_flight,
        std::chrono::milliseconds deadline);

  /// Waits for the next step's header. Its activations must be taken next, if it has any.
  Step take_header();
  /// Receives the activations [T, width] of that step and returns the credit.
  void take_activations(const Step& step, Matrix into);
  /// Waits until the peer has all its credits back, which its own flush collects.
  void flush();

  std::size_t buffer_bytes() const { return rows_->buffer_bytes(); }
  std::uint64_t wait_ns() const { return wait_ns_; }

 private:
  struct Credit {
    std::uint64_t step = 0;  // the message
    PendingSend send;
  };
  void give_credit(std::uint64_t step);
  void reclaim_oldest();

  Communicator& comm_;
  int peer_;
  std::unique_ptr<RowReceiver> rows_;
  std::chrono::milliseconds deadline_;
  // [in_flight]. The peer collects a credit no sooner than it needs one, but has collected that of
  // step s - in_flight when it sends step s: so waiting for a slot of this ring never waits for the
  // peer, which may be waiting for something that only this stage can give.
  std::vector<Credit> credits_;
  std::size_t next_ = 0;
  std::size_t under_way_ = 0;
  std::uint64_t wait_ns_ = 0;
};

}  // namespace varve
