#include "kernels/host_memory.h"

#include <cstdlib>
#include <cstring>

#include "common/error.h"

namespace varve {
namespace {

constexpr std::size_t kAlignment = 64;

void free_host(void* data) noexcept {
  std::free(data);
}

}  // namespace

Buffer allocate_host(std::size_t bytes) {
  if (bytes == 0) return {};
  // aligned_alloc wants a multiple of the alignment; the padding also lets a vector read past the
  // last element without leaving the block.
  const std::size_t padded = (bytes / kAlignment + 1) * kAlignment;
  void* data = std::aligned_alloc(kAlignment, padded);
  if (data == nullptr) {
    throw DeviceError(fmt::format("host memory: cannot allocate {} bytes", bytes));
  }
  return {data, bytes, free_host};
}

void copy_host(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace varve
