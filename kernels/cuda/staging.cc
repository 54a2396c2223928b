#include "kernels/cuda/staging.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace varve::cuda {
namespace {

constexpr std::size_t kFirstQuarter = std::size_t{1} << 20U;
constexpr std::size_t kAlignment = 256;

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Staging::Staging(Device& device) : device_(device) {
  enlarge(kFirstQuarter);
}

const std::byte* Staging::put_bytes(std::span<const std::byte> bytes) {
  if (bytes.empty()) return nullptr;
  if (const std::byte* found = find_recent(bytes)) return found;
  const std::size_t at = write(bytes);
  const std::byte* host = host_.data() + at;
  auto* device = twin_.as<std::byte>() + at;
  check(cudaMemcpyAsync(device, host, bytes.size(), cudaMemcpyHostToDevice, device_.stream()),
        "copy to the device");
  recent_[next_recent_++ % recent_.size()] = {host, device, bytes.size()};
  return device;
}

void Staging::copy(void* to, std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::byte* host = host_.data() + write(bytes);
  check(cudaMemcpyAsync(to, host, bytes.size(), cudaMemcpyHostToDevice, device_.stream()),
        "copy to the device");
}

std::size_t Staging::write(std::span<const std::byte> bytes) {
  make_room(aligned(bytes.size()));
  const std::size_t at = quarter_ * quarter_bytes_ + used_;
  used_ += aligned(bytes.size());
  std::memcpy(host_.data() + at, bytes.data(), bytes.size());
  return at;
}

const std::byte* Staging::find_recent(std::span<const std::byte> bytes) const {
  const auto same = [&](const Recent& r) {
    return r.bytes == bytes.size() && std::memcmp(r.host, bytes.data(), r.bytes) == 0;
  };
  const auto found = std::find_if(recent_.begin(), recent_.end(), same);
  return found == recent_.end() ? nullptr : found->device;
}

// On to the next quarter if this one is full.
void Staging::make_room(std::size_t bytes) {
  if (used_ + bytes <= quarter_bytes_) return;
  if (bytes > quarter_bytes_) return enlarge(2 * bytes);
  device_.launch_collected();
  copied_[quarter_].record(device_.stream());
  quarter_ = (quarter_ + 1) % kQuarters;
  copied_[quarter_].wait();
  used_ = 0;
  recent_ = {};
}

void Staging::enlarge(std::size_t quarter) {
  device_.finish();  // nothing copies from the old memory any more
  quarter_bytes_ = aligned(quarter);
  host_ = PinnedMemory(kQuarters * quarter_bytes_);
  retired_.push_back(std::move(twin_));  // at most as much as the new one: sizes double
  twin_ = device_.allocate(kQuarters * quarter_bytes_);
  quarter_ = 0;
  used_ = 0;
  recent_ = {};
}

}  // namespace varve::cuda
