#include "tests/cuda_on_cpu/emulator/shared_memory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>

#include "tests/cuda_on_cpu/emulator/sanitizer.h"

namespace varve::emulator {
namespace {

constexpr std::align_val_t kAlignment{128};
constexpr std::size_t kGuardBytes = 256;
constexpr std::size_t kAllBytes = kGuardBytes + SharedMemory::kMaxBytes + kGuardBytes;
constexpr unsigned char kGuard = 0xa5;
constexpr unsigned char kUndefined = 0xff;

bool all_guard(const unsigned char* p) {
  return std::all_of(p, p + kGuardBytes, [](unsigned char byte) { return byte == kGuard; });
}

}  // namespace

void SharedMemory::Free::operator()(unsigned char* p) const {
  allow(p, kAllBytes);
  ::operator delete(p, kAlignment);
}

void SharedMemory::resize(std::size_t bytes) {
  if (memory_ == nullptr) {
    memory_.reset(static_cast<unsigned char*>(::operator new(kAllBytes, kAlignment)));
    begin_ = memory_.get() + kGuardBytes;
  }
  allow(memory_.get(), kAllBytes);
  bytes_ = bytes;
  std::memset(memory_.get(), kGuard, kGuardBytes);
  std::memset(end(), kGuard, kGuardBytes);
  forbid(memory_.get(), kGuardBytes);
  forbid(end(), kAllBytes - kGuardBytes - bytes);
}

void SharedMemory::make_undefined() {
  std::memset(begin_, kUndefined, bytes_);
}

bool SharedMemory::contains(const void* p, std::size_t size) const {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const auto begin = reinterpret_cast<std::uintptr_t>(begin_);
  return at >= begin && at + size <= begin + bytes_;
}

bool SharedMemory::guards_are_intact() const {
  // Nobody can have written there, and nobody may read there.
  if (kAddressSanitizer) return true;
  return all_guard(memory_.get()) && all_guard(end());
}

}  // namespace varve::emulator
