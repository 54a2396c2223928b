// By which way activations cross a stage boundary, and what it holds of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve {

enum class RowPath : std::uint8_t {
  kHost,    // from host memory to host memory
  kStaged,  // of a device, through host memory
  kNccl,    // from device to device
};

/// Slots of a step's rows that a receiver holds beside its workspace.
constexpr std::size_t arriving_slots(RowPath path) {
  switch (path) {
    case RowPath::kHost:
      return 0;
    case RowPath::kStaged:
      return 1;
    case RowPath::kNccl:
      return 2;  // one is being computed with while the next one arrives
  }
  return 0;
}

}  // namespace varve
