#include "worker/comm/nccl/nccl_rows.h"

#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <array>
#include <vector>

#include "common/error.h"
#include "common/plan/row_path.h"
#include "kernels/cuda/device.h"
#include "worker/comm/nccl/nccl_link.h"

namespace varve {
namespace nccl {
namespace {

constexpr std::size_t kArriving = arriving_slots(RowPath::kNccl);

/// Memory for `count` slots of `floats` floats.
class Slots {
 public:
  Slots(std::size_t floats, std::size_t count)
      : floats_(floats), count_(count), memory_(floats * count * sizeof(float)) {}
  float* slot(std::size_t index, std::size_t floats) const {
    VARVE_CHECK(index < count_ && floats <= floats_, "{} floats in slot {} of {} slots of {}",
                floats, index, count_, floats_);
    return reinterpret_cast<float*>(memory_.data()) + index * floats_;
  }
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  std::size_t floats_;
  std::size_t count_;
  cuda::DeviceMemory memory_;
};

void copy(float* to, const float* from, std::size_t bytes, cudaStream_t stream) {
  cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream),
              "copy activations");
}

/// Rows are copied into a slot by the backend's own queue, and sent from there by another stream:
/// the backend goes on while the peer lets this rank wait.
class Sender final : public RowSender {
 public:
  Sender(Link& link, cudaStream_t queue, std::size_t floats, std::size_t slots,
         Traffic::Count& sent)
      : link_(link), queue_(queue), memory_(floats, slots), slots_(slots), count_(sent) {}
  ~Sender() override {
    // Memory of a transfer that the peer never comes to could not be freed.
    for (const Slot& slot : slots_) {
      if (slot.bytes > 0) link_.abort();
    }
  }

  void send(std::size_t index, std::span<const float> rows) override {
    float* to = memory_.slot(index, rows.size());
    Slot& slot = slots_[index];
    slot.bytes = rows.size_bytes();
    copy(to, rows.data(), slot.bytes, queue_);
    slot.filled.record(queue_);
    slot.filled.hold_back(stream_.get());
    link_.send(to, wait_for(slot, kQueueing), stream_.get());
    slot.sent.record(stream_.get());
    count_.bytes += slot.bytes;
    ++count_.messages;
  }
  void wait(std::size_t index, Waiting waiting) override {
    Slot& slot = slots_.at(index);
    link_.wait(slot.sent, wait_for(slot, waiting));
    slot.bytes = 0;
  }
  std::size_t buffer_bytes() const override { return memory_.bytes(); }

 private:
  struct Slot {
    cuda::Event filled;
    cuda::Event sent;
    std::size_t bytes = 0;  // under way
  };
  // Connected, NCCL only notes what it is to do: that takes no peer.
  static constexpr Waiting kQueueing{std::chrono::seconds(60), "NCCL to queue activations"};

  Wait wait_for(const Slot& slot, Waiting waiting) const {
    return {{link_.peer(), Tag::kActivations, slot.bytes, true}, waiting};
  }

  Link& link_;
  cudaStream_t queue_;
  cuda::Stream stream_;
  Slots memory_;
  std::vector<Slot> slots_;
  Traffic::Count& count_;
};

/// The other way round: while the backend computes one step, the next one's rows may arrive.
class Receiver final : public RowReceiver {
 public:
  Receiver(Link& link, cudaStream_t queue, std::size_t floats)
      : link_(link), queue_(queue), memory_(floats, kArriving) {}

  void receive(std::span<float> into, Waiting waiting) override {
    const Wait wait{{link_.peer(), Tag::kActivations, into.size_bytes(), false}, waiting};
    float* from = memory_.slot(next_, into.size());
    Slot& slot = slots_[next_];
    next_ = (next_ + 1) % kArriving;
    slot.taken.hold_back(stream_.get());
    link_.recv(from, wait, stream_.get());
    slot.arrived.record(stream_.get());
    link_.wait(slot.arrived, wait);
    slot.arrived.hold_back(queue_);
    copy(into.data(), from, into.size_bytes(), queue_);
    slot.taken.record(queue_);
  }
  std::size_t buffer_bytes() const override { return memory_.bytes(); }

 private:
  struct Slot {
    cuda::Event arrived;
    cuda::Event taken;
  };
  Link& link_;
  cudaStream_t queue_;
  cuda::Stream stream_;
  Slots memory_;
  std::array<Slot, kArriving> slots_;
  std::size_t next_ = 0;
};

class NcclRows final : public RowTransport {
 public:
  NcclRows(Communicator& comm, std::span<const int> peers, cudaStream_t queue, Waiting waiting)
      : queue_(queue) {
    for (const int peer : peers) links_.push_back(std::make_unique<Link>(comm, peer, waiting));
  }

  std::string describe() const override { return nccl_version(); }
  std::unique_ptr<RowSender> sender(int peer, std::size_t floats, std::size_t slots) override {
    return std::make_unique<Sender>(link(peer), queue_, floats, slots, sent_);
  }
  std::unique_ptr<RowReceiver> receiver(int peer, std::size_t floats) override {
    return std::make_unique<Receiver>(link(peer), queue_, floats);
  }
  Traffic::Count sent() const override { return sent_; }

 private:
  Link& link(int peer) {
    const auto found = std::find_if(links_.begin(), links_.end(),
                                    [&](const auto& link) { return link->peer() == peer; });
    VARVE_CHECK(found != links_.end(), "no link to rank {}", peer);
    return **found;
  }

  cudaStream_t queue_;
  std::vector<std::unique_ptr<Link>> links_;
  Traffic::Count sent_;
};

}  // namespace
}  // namespace nccl

std::string nccl_version() {
  int code = 0;
  if (ncclGetVersion(&code) != ncclSuccess) return "NCCL";
  return fmt::format("NCCL {}.{}.{}", code / 10000, code / 100 % 100, code % 100);
}

std::unique_ptr<RowTransport> make_nccl_rows(Communicator& comm, std::span<const int> peers,
                                             void* queue, Waiting waiting) {
  return std::make_unique<nccl::NcclRows>(comm, peers, static_cast<cudaStream_t>(queue), waiting);
}

}  // namespace varve
