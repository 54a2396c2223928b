#include "tests/cuda_on_cpu/fakes/arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <iterator>
#include <new>

#include "tests/cuda_on_cpu/fakes/fault_message.h"

namespace varve::fakes {
namespace {

constexpr std::size_t kPage = 4096;

std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace

Arena::Arena(std::size_t bytes) : size_(round_up(bytes, kPage)) {
  if (kHeapBacked) return;
  void* p = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  begin_ = static_cast<std::byte*>(p);
  explain_faults_in(begin_, size_);
}

Arena::~Arena() {
  if (begin_ != nullptr) munmap(begin_, size_);
}

std::size_t Arena::footprint(std::size_t bytes) {
  // The heap's own red zone follows the block's last byte.
  if (kHeapBacked) return bytes;
  return round_up(bytes, kAlignment) + kAlignment;
}

std::byte* Arena::take(std::size_t footprint) {
  if (kHeapBacked) {
    void* p = nullptr;
    return posix_memalign(&p, kAlignment, footprint) == 0 ? static_cast<std::byte*>(p) : nullptr;
  }
  for (auto hole = free_.begin(); hole != free_.end(); ++hole) {
    const auto [offset, bytes] = *hole;
    if (bytes < footprint) continue;
    free_.erase(hole);
    if (bytes > footprint) free_.emplace(offset + footprint, bytes - footprint);
    return begin_ + offset;
  }
  if (footprint > size_ - top_) return nullptr;
  std::byte* p = begin_ + top_;
  const std::size_t mapped = round_up(top_, kPage);
  top_ += footprint;
  const std::size_t end = round_up(top_, kPage);
  if (end > mapped) mprotect(begin_ + mapped, end - mapped, PROT_READ | PROT_WRITE);
  return p;
}

void Arena::give_back(std::byte* p, std::size_t footprint) {
  if (kHeapBacked) return std::free(p);
  auto hole = free_.emplace(static_cast<std::size_t>(p - begin_), footprint).first;
  const auto next = std::next(hole);
  if (next != free_.end() && hole->first + hole->second == next->first) {
    hole->second += next->second;
    free_.erase(next);
  }
  if (hole == free_.begin()) return;
  const auto previous = std::prev(hole);
  if (previous->first + previous->second == hole->first) {
    previous->second += hole->second;
    free_.erase(hole);
  }
}

void Arena::open() {
  if (open_++ == 0) protect(PROT_READ | PROT_WRITE);
}

void Arena::close() {
  if (--open_ == 0) protect(PROT_NONE);
}

int Arena::close_all() {
  const int depth = open_;
  open_ = 0;
  if (depth > 0) protect(PROT_NONE);
  return depth;
}

void Arena::reopen(int depth) {
  if (depth > 0 && open_ == 0) protect(PROT_READ | PROT_WRITE);
  open_ += depth;
}

void Arena::protect(int rights) {
  if (top_ > 0) mprotect(begin_, round_up(top_, kPage), rights);
}

}  // namespace varve::fakes
