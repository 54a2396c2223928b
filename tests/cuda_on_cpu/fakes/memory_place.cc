#include "tests/cuda_on_cpu/fakes/memory_place.h"

#include <fmt/format.h>

#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {
namespace {

std::optional<Place> too_short(std::size_t bytes, std::size_t left, std::string& why) {
  why = fmt::format("{} bytes where the block has {} left", bytes, left);
  return std::nullopt;
}

std::size_t left_in(const std::byte* begin, std::size_t bytes, const void* p) {
  return static_cast<std::size_t>(begin + bytes - static_cast<const std::byte*>(p));
}

}  // namespace

std::optional<Place> find_place(Machine& machine, const void* p, std::size_t bytes,
                                std::optional<Side> side, std::string& why) {
  const Block* block = machine.memory().find(p);
  if (side && (*side == Side::kDevice) != (block != nullptr)) {
    why = fmt::format("{} is {}device memory", p, block != nullptr ? "" : "not ");
    return std::nullopt;
  }
  if (block != nullptr) {
    const std::size_t left = left_in(block->begin, block->bytes, p);
    if (bytes > left) return too_short(bytes, left, why);
    return Place{p, bytes, Side::kDevice, block->serial};
  }
  const auto* range = machine.pinned().find(p);
  if (range == nullptr) return Place{p, bytes, Side::kHost, 0};
  const std::size_t left = left_in(range->first, range->second.bytes, p);
  if (bytes > left) return too_short(bytes, left, why);
  return Place{p, bytes, Side::kHost, range->second.serial};
}

void check_place(Machine& machine, const Place& place, const char* what) {
  if (place.serial == 0) return;
  bool there = false;
  if (place.side == Side::kDevice) {
    const Block* block = machine.memory().find(place.begin);
    there = block != nullptr && block->serial == place.serial;
  } else {
    const auto* range = machine.pinned().find(place.begin);
    there = range != nullptr && range->second.serial == place.serial;
  }
  if (there) return;
  throw KernelError(fmt::format("{}: {} memory was freed before its {} bytes were used", what,
                                place.side == Side::kDevice ? "device" : "pinned", place.bytes));
}

std::optional<Sides> sides_of(cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return Sides{Side::kHost, Side::kHost};
    case cudaMemcpyHostToDevice:
      return Sides{Side::kDevice, Side::kHost};
    case cudaMemcpyDeviceToHost:
      return Sides{Side::kHost, Side::kDevice};
    case cudaMemcpyDeviceToDevice:
      return Sides{Side::kDevice, Side::kDevice};
    case cudaMemcpyDefault:
      return Sides{};
  }
  return std::nullopt;
}

}  // namespace varve::fakes
