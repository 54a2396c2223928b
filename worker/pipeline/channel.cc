#include "worker/pipeline/channel.h"

#include "common/error.h"
#include "worker/pipeline/clock.h"

namespace varve {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

Outlet::Outlet(Communicator& comm, int peer, std::unique_ptr<RowSender> rows, std::size_t in_flight,
               std::chrono::milliseconds deadline)
    : comm_(comm), peer_(peer), rows_(std::move(rows)), deadline_(deadline), slots_(in_flight) {}

void Outlet::reclaim_oldest() {
  const std::size_t oldest = (next_ + slots_.size() - under_way_) % slots_.size();
  const Slot& slot = slots_[oldest];
  const std::string what =
      fmt::format("room for a step on the channel (step {} is not taken)", slot.step);
  const Waiting waiting{deadline_, what};
  const ScopedTimer timer(wait_ns_);
  comm_.wait(slot.header_send, waiting);
  if (slot.has_activations) rows_->wait(oldest, waiting);
  std::uint64_t credit = 0;
  comm_.recv(std::as_writable_bytes(std::span(&credit, 1)), peer_, Tag::kCredit, waiting);
  VARVE_CHECK(credit == slot.step, "credit for step {}, expected {}", credit, slot.step);
  --under_way_;
}

void Outlet::pass(const Step& step, ConstMatrix activations) {
  if (under_way_ == slots_.size()) reclaim_oldest();
  const std::size_t index = next_;
  Slot& slot = slots_[index];
  next_ = (next_ + 1) % slots_.size();
  ++under_way_;
  slot.step = step.id;
  slot.header = to_bytes(step);
  slot.header_send = comm_.send(slot.header, peer_, Tag::kStepHeader);
  slot.has_activations = step.kind == StepKind::kRows;
  if (!slot.has_activations) return;
  VARVE_CHECK(activations.stride == activations.cols, "activations [{}, {}] of stride {}",
              activations.rows, activations.cols, activations.stride);
  rows_->send(index, {activations.data, activations.rows * activations.cols});
}

void Outlet::flush() {
  while (under_way_ > 0) reclaim_oldest();
}

Inlet::Inlet(Communicator& comm, int peer, std::unique_ptr<RowReceiver> rows, std::size_t in_flight,
             std::chrono::milliseconds deadline)
    : comm_(comm), peer_(peer), rows_(std::move(rows)), deadline_(deadline), credits_(in_flight) {}

Step Inlet::take_header() {
  const ScopedTimer timer(wait_ns_);
  const std::vector<std::byte> bytes =
      comm_.recv_message(peer_, Tag::kStepHeader, {deadline_, "the next step"});
  Step step = from_bytes<Step>(bytes, "step");
  if (step.kind != StepKind::kRows) give_credit(step.id);
  return step;
}

void Inlet::take_activations(const Step& step, Matrix into) {
  const std::string what = fmt::format("activations of step {}", step.id);
  const ScopedTimer timer(wait_ns_);
  rows_->receive({into.data, into.rows * into.cols}, {deadline_, what});
  give_credit(step.id);
}

void Inlet::give_credit(std::uint64_t step) {
  if (under_way_ == credits_.size()) reclaim_oldest();
  Credit& credit = credits_[next_];
  next_ = (next_ + 1) % credits_.size();
  ++under_way_;
  credit.step = step;
  credit.send = comm_.send(bytes_of(credit.step), peer_, Tag::kCredit);
}

void Inlet::reclaim_oldest() {
  const Credit& oldest = credits_[(next_ + credits_.size() - under_way_) % credits_.size()];
  comm_.wait(oldest.send, {deadline_, "a credit to leave"});
  --under_way_;
}

void Inlet::flush() {
  while (under_way_ > 0) reclaim_oldest();
}

}  // namespace varve
