#include "kernels/host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "common/error.h"

namespace varve {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20U;
// Address space; pages that nobody touches cost nothing.
constexpr std::size_t kArenaBlock = 32 * kHugePage;

void free_host(void* data, void* /*context*/) noexcept {
  std::free(data);
}

void keep_host(void* /*data*/, void* /*context*/) noexcept {}

// Streams of weights and cached rows run up to half again as fast from huge pages, so an end that
// fills at least half of one gets one too. Only advice: a system without them ignores it.
void advise_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(data, (bytes + kHugePage / 2) / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
}

}  // namespace

Buffer allocate_host(std::size_t bytes) {
  if (bytes == 0) return {};
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  // aligned_alloc wants a multiple of the alignment. Pages that nobody touches cost nothing, but
  // the last huge page may hold up to half of itself more than was asked for.
  const std::size_t padded = (bytes + alignment - 1) / alignment * alignment;
  void* data = std::aligned_alloc(alignment, padded);
  if (data == nullptr) {
    throw DeviceError(fmt::format("host memory: cannot allocate {} bytes", bytes));
  }
  if (alignment == kHugePage) advise_huge_pages(data, bytes);
  return {data, bytes, free_host};
}

Buffer HostArena::allocate(std::size_t bytes) {
  if (bytes == 0 || bytes >= kHugePage) return allocate_host(bytes);
  const std::size_t padded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (blocks_.empty() || used_ + padded > blocks_.back().bytes()) {
    blocks_.push_back(allocate_host(kArenaBlock));
    used_ = 0;
  }
  Buffer part(blocks_.back().as<std::byte>() + used_, bytes, keep_host);
  used_ += padded;
  return part;
}

void copy_host(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace varve
