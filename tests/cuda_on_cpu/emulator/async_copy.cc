#include "tests/cuda_on_cpu/emulator/async_copy.h"

#include <fmt/format.h>

#include <cstdint>

#include "tests/cuda_on_cpu/emulator/machine.h"

namespace varve::emulator {
namespace {

void check_copy(const AsyncCopy& copy, Place at) {
  if (reinterpret_cast<std::uintptr_t>(copy.to) % AsyncCopy::kBytes != 0 ||
      reinterpret_cast<std::uintptr_t>(copy.from) % AsyncCopy::kBytes != 0) {
    machine.fail(at, "cp_async16 with an address that is not aligned to 16 bytes");
  }
  if (copy.filled > AsyncCopy::kBytes) {
    machine.fail(at, fmt::format("cp_async16 of {} bytes", copy.filled));
  }
  if (!machine.shared().contains(copy.to, AsyncCopy::kBytes)) {
    machine.fail(at, "cp_async16 to outside of the block's shared memory");
  }
}

}  // namespace

void AsyncCopies::push(AsyncCopy copy) {
  if (empty()) {
    copies_.clear();
    first_ = 0;
  }
  copy.group = commits_;
  copies_.push_back(copy);
}

const AsyncCopy* AsyncCopies::pop(unsigned pending) {
  if (empty() || copies_[first_].group + pending >= commits_) return nullptr;
  return &copies_[first_++];
}

void AsyncCopies::clear() {
  copies_.clear();
  first_ = 0;
  commits_ = 0;
}

bool begin_copy(const AsyncCopy& copy, Place at) {
  check_copy(copy, at);
  machine.current().copies.push(copy);
  return !machine.late_copies();
}

void commit_copies() {
  machine.current().copies.commit();
}

const AsyncCopy* next_landing(unsigned pending) {
  AsyncCopies& copies = machine.current().copies;
  if (machine.late_copies()) return copies.pop(pending);
  while (copies.pop(pending) != nullptr) {
  }
  return nullptr;
}

}  // namespace varve::emulator
