// Host memory for the backends that compute on the CPU.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/buffer.h"

namespace varve {

/// Aligned to 64 bytes (a cache line, an AVX-512 vector), contents undefined. Zero bytes give an
/// empty buffer. DeviceError if the machine has no such memory.
Buffer allocate_host(std::size_t bytes);

/// Puts buffers too small for a huge page side by side on common ones: a decode step streams every
/// weight once, and the weights of a small model are mostly smaller than a page. Given back when
/// the arena goes, so it must outlive what it handed out.
class HostArena {
 public:
  /// As allocate_host.
  Buffer allocate(std::size_t bytes);

 private:
  std::vector<Buffer> blocks_;
  std::size_t used_ = 0;  // bytes of the last block
};

/// memcpy that accepts empty ranges with null pointers.
void copy_host(void* to, const void* from, std::size_t bytes);

}  // namespace varve
