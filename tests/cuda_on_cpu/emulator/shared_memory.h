// A block's dynamic shared memory. It begins every block as NaN in every float format (and as -1),
// since on a GPU it is undefined. What a kernel writes around it is found: under the address
// sanitizer at once, else at the end of the block if it is near.
#pragma once

#include <cstddef>
#include <memory>

namespace varve::emulator {

class SharedMemory {
 public:
  /// What a block of the smallest GPU that we build for (sm_80) may have.
  static constexpr std::size_t kMaxBytes = 163 * 1024;

  /// For the blocks of a launch.
  void resize(std::size_t bytes);
  /// For the next block.
  void make_undefined();
  unsigned char* data() { return begin_; }
  std::size_t bytes() const { return bytes_; }
  bool contains(const void* p, std::size_t size) const;
  /// Whether the bytes around it were left alone.
  bool guards_are_intact() const;

 private:
  struct Free {
    void operator()(unsigned char* p) const;
  };
  unsigned char* end() const { return begin_ + bytes_; }

  std::unique_ptr<unsigned char, Free> memory_;  // guard, shared memory, guard
  unsigned char* begin_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Of the block that runs.
unsigned char* dynamic_shared();

}  // namespace varve::emulator
