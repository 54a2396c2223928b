#include "tests/cuda_on_cpu/fakes/device_memory.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

namespace varve::fakes {
namespace {

constexpr int kPoison = 0xff;  // NaN in every floating-point format, -1 in every integer

// A NaN too, of 16 bits and so of 32 and 64, but not the one that a copy of poison would leave.
std::byte canary(const std::byte* p) {
  return (reinterpret_cast<std::uintptr_t>(p) & 1U) == 0 ? std::byte{0xa5} : std::byte{0xff};
}

const std::byte* bytes_at(const void* p) {
  return static_cast<const std::byte*>(p);
}

}  // namespace

// Twice the address space, because free space is in pieces.
DeviceMemory::DeviceMemory(std::size_t devices, std::size_t bytes_each)
    : arena_(2 * (devices + 1) * (bytes_each + (std::size_t{64} << 20))),
      bytes_each_(bytes_each),
      used_(devices) {}

Block* DeviceMemory::allocate(std::size_t bytes, int device) {
  std::size_t& used = used_[static_cast<std::size_t>(device)];
  if (bytes > bytes_each_ - used) return nullptr;
  const DeviceOpen open(arena_);
  const std::size_t footprint = Arena::footprint(bytes);
  std::byte* begin = arena_.take(footprint);
  if (begin == nullptr) return nullptr;
  used += bytes;
  Block& block = blocks_[begin];
  block = {begin, bytes, device, false, next_serial_++};
  poison(block);
  for (std::byte* p = begin + bytes; p < begin + footprint; ++p) *p = canary(p);
  return &block;
}

void DeviceMemory::release(void* p) {
  const DeviceOpen open(arena_);
  const auto entry = blocks_.find(bytes_at(p));
  const Block block = entry->second;
  poison(block);
  used_[static_cast<std::size_t>(block.device)] -= block.bytes;
  blocks_.erase(entry);
  arena_.give_back(block.begin, Arena::footprint(block.bytes));
}

const Block* DeviceMemory::find(const void* p) const {
  auto entry = blocks_.upper_bound(bytes_at(p));
  if (entry == blocks_.begin()) return nullptr;
  const Block& block = std::prev(entry)->second;
  return bytes_at(p) < block.begin + block.bytes ? &block : nullptr;
}

const Block* DeviceMemory::starting_at(const void* p) const {
  const auto entry = blocks_.find(bytes_at(p));
  return entry == blocks_.end() ? nullptr : &entry->second;
}

void DeviceMemory::poison(const Block& block) {
  std::memset(block.begin, kPoison, block.bytes);
}

std::optional<std::string> DeviceMemory::take_overrun(const Block& block) {
  std::byte* const end = block.begin + Arena::footprint(block.bytes);
  for (std::byte* p = block.begin + block.bytes; p < end; ++p) {
    if (*p == canary(p)) continue;
    const auto offset = p - block.begin;
    for (; p < end; ++p) *p = canary(p);
    return fmt::format("a block of {} bytes was written behind its end, at byte {}", block.bytes,
                       offset);
  }
  return std::nullopt;
}

std::optional<std::string> DeviceMemory::take_overrun() {
  if (kHeapBacked) return std::nullopt;
  for (const auto& [begin, block] : blocks_) {
    if (auto found = take_overrun(block)) return found;
  }
  return std::nullopt;
}

void* PinnedMemory::allocate(std::size_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, Arena::kAlignment, bytes) != 0) return nullptr;
  std::memset(p, kPoison, bytes);
  ranges_[bytes_at(p)] = {bytes, true, next_serial_++};
  return p;
}

bool PinnedMemory::release(void* p, bool owned) {
  const auto entry = ranges_.find(bytes_at(p));
  if (entry == ranges_.end() || entry->second.owned != owned) return false;
  if (owned) {
    std::memset(p, kPoison, entry->second.bytes);
    std::free(p);
  }
  ranges_.erase(entry);
  return true;
}

bool PinnedMemory::add(void* p, std::size_t bytes) {
  const auto after = ranges_.lower_bound(bytes_at(p));
  if (find(p) != nullptr) return false;
  if (after != ranges_.end() && after->first < bytes_at(p) + bytes) return false;
  ranges_[bytes_at(p)] = {bytes, false, next_serial_++};
  return true;
}

const std::pair<const std::byte* const, PinnedMemory::Range>* PinnedMemory::find(
    const void* p) const {
  auto entry = ranges_.upper_bound(bytes_at(p));
  if (entry == ranges_.begin()) return nullptr;
  --entry;
  return bytes_at(p) < entry->first + entry->second.bytes ? &*entry : nullptr;
}

}  // namespace varve::fakes
