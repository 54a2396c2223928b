#include "worker/pipeline/host_rows.h"

#include <vector>

#include "common/error.h"

namespace varve {
namespace {

class HostRowSender final : public RowSender {
 public:
  HostRowSender(Communicator& comm, Ops& ops, int peer, std::size_t floats, std::size_t slots)
      : comm_(comm), ops_(ops), peer_(peer), slots_(slots) {
    for (Slot& slot : slots_) slot.rows.resize(floats);
  }

  void send(std::size_t index, std::span<const float> rows) override {
    Slot& slot = slots_.at(index);
    VARVE_CHECK(rows.size() <= slot.rows.size(), "{} floats for a slot of {}", rows.size(),
                slot.rows.size());
    const auto copy = std::span(slot.rows).first(rows.size());
    ops_.download(copy.data(), rows.data(), rows.size_bytes());
    slot.pending = comm_.send(std::as_bytes(copy), peer_, Tag::kActivations);
  }
  void wait(std::size_t index, Waiting waiting) override {
    comm_.wait(slots_.at(index).pending, waiting);
  }
  std::size_t buffer_bytes() const override {
    return slots_.size() * slots_.front().rows.size() * sizeof(float);
  }

 private:
  struct Slot {
    std::vector<float> rows;
    PendingSend pending;
  };
  Communicator& comm_;
  Ops& ops_;
  int peer_;
  std::vector<Slot> slots_;
};

class HostRowReceiver final : public RowReceiver {
 public:
  HostRowReceiver(Communicator& comm, Ops& ops, int peer, std::size_t floats)
      : comm_(comm), ops_(ops), peer_(peer) {
    if (ops.on_device()) arrived_.resize(floats);
  }

  void receive(std::span<float> into, Waiting waiting) override {
    const bool staged = ops_.on_device();
    VARVE_CHECK(!staged || into.size() <= arrived_.size(), "{} floats for a slot of {}",
                into.size(), arrived_.size());
    const std::span<float> host = staged ? std::span(arrived_).first(into.size()) : into;
    comm_.recv(std::as_writable_bytes(host), peer_, Tag::kActivations, waiting);
    if (staged) ops_.upload(into.data(), host.data(), host.size_bytes());
  }
  std::size_t buffer_bytes() const override { return arrived_.size() * sizeof(float); }

 private:
  Communicator& comm_;
  Ops& ops_;
  int peer_;
  std::vector<float> arrived_;  // of a device's
};

class HostRows final : public RowTransport {
 public:
  HostRows(Communicator& comm, Ops& ops) : comm_(comm), ops_(ops) {}

  std::string describe() const override { return "host memory"; }
  std::unique_ptr<RowSender> sender(int peer, std::size_t floats, std::size_t slots) override {
    return std::make_unique<HostRowSender>(comm_, ops_, peer, floats, slots);
  }
  std::unique_ptr<RowReceiver> receiver(int peer, std::size_t floats) override {
    return std::make_unique<HostRowReceiver>(comm_, ops_, peer, floats);
  }
  Traffic::Count sent() const override { return {}; }

 private:
  Communicator& comm_;
  Ops& ops_;
};

}  // namespace

std::unique_ptr<RowTransport> make_host_rows(Communicator& comm, Ops& ops) {
  return std::make_unique<HostRows>(comm, ops);
}

}  // namespace varve
