// Small arrays that the host makes for kernels (positions, tasks, heads): copied to the device in
// the order of its stream, without waiting for it.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"

namespace varve::cuda {

/// A ring in pinned memory and its twin on the device, in four quarters. A quarter is written again
/// when the device has copied what stood there, which an event tells. What `put` returns is good
/// until three more quarters are full, far longer than the verb that it is put for.
class Staging {
 public:
  explicit Staging(Device& device);

  /// A copy of `items` on the device. The same bytes as those of a recent call are not copied
  /// again: all layers of a step ask for its positions.
  template <class T>
  const T* put(std::span<const T> items) {
    static_assert(std::is_trivially_copyable_v<T>);
    return reinterpret_cast<const T*>(put_bytes(std::as_bytes(items)));
  }

  /// Copies bytes to device memory without waiting; the host memory may be changed at once.
  void copy(void* to, std::span<const std::byte> bytes);

 private:
  static constexpr std::size_t kQuarters = 4;
  struct Recent {
    const std::byte* host = nullptr;
    const std::byte* device = nullptr;
    std::size_t bytes = 0;
  };

  /// Copies bytes into the ring; where they stand in it.
  std::size_t write(std::span<const std::byte> bytes);
  const std::byte* put_bytes(std::span<const std::byte> bytes);
  const std::byte* find_recent(std::span<const std::byte> bytes) const;
  void make_room(std::size_t bytes);
  void enlarge(std::size_t quarter);

  Device& device_;
  std::size_t quarter_bytes_ = 0;
  PinnedMemory host_;                    // [kQuarters, quarter_bytes_]
  Buffer twin_;                          // the same on the device
  std::vector<Buffer> retired_;          // twins that were too small; a verb may still hold them
  std::array<Event, kQuarters> copied_;  // from the quarter, when it was left
  std::size_t quarter_ = 0;              // written at present
  std::size_t used_ = 0;                 // of it
  std::array<Recent, 8> recent_{};       // of this quarter
  std::size_t next_recent_ = 0;
};

}  // namespace varve::cuda
