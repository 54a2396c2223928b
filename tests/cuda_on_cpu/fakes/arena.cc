#include "tests/cuda_on_cpu/fakes/arena.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <new>

#include "tests/cuda_on_cpu/fakes/fault_message.h"

namespace varve::fakes {
namespace {

// Closing a mapping takes time for each of its pages, so they should be few.
constexpr std::size_t kPage = std::size_t{2} << 20;

std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace

Arena::Guard Arena::best_guard() {
  const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
  if (key < 0) return Guard::kMapping;
  pkey_free(key);
  return Guard::kKeys;
}

Arena::Arena(std::size_t bytes, Guard guard) : guard_(guard), size_(round_up(bytes, kPage)) {
  if (kHeapBacked) return;
  if (guard == Guard::kKeys) key_ = pkey_alloc(0, PKEY_DISABLE_ACCESS);
  mapping_size_ = size_ + kPage;
  void* p =
      mmap(nullptr, mapping_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED || (guard == Guard::kKeys && key_ < 0)) throw std::bad_alloc();
  mapping_ = static_cast<std::byte*>(p);
  const auto address = reinterpret_cast<std::uintptr_t>(p);
  begin_ = mapping_ + (round_up(address, kPage) - address);
  madvise(begin_, size_, MADV_HUGEPAGE);
  explain_faults_in(begin_, size_);
}

Arena::~Arena() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_size_);
  if (key_ >= 0) pkey_free(key_);
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
  top_ += footprint;
  if (top_ > mapped_) map_up_to(round_up(top_, kPage));
  return p;
}

void Arena::map_up_to(std::size_t end) {
  constexpr int kRights = PROT_READ | PROT_WRITE;
  const int result = guard_ == Guard::kKeys
                         ? pkey_mprotect(begin_ + mapped_, end - mapped_, kRights, key_)
                         : mprotect(begin_ + mapped_, end - mapped_, kRights);
  if (result != 0) throw std::bad_alloc();
  mapped_ = end;
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
  if (open_++ == 0) set_open(true);
}

void Arena::close() {
  if (--open_ == 0) set_open(false);
}

int Arena::close_all() {
  const int depth = open_;
  open_ = 0;
  if (depth > 0) set_open(false);
  return depth;
}

void Arena::reopen(int depth) {
  if (depth > 0 && open_ == 0) set_open(true);
  open_ += depth;
}

void Arena::set_open(bool open) {
  if (kHeapBacked) return;
  if (guard_ == Guard::kKeys) {
    pkey_set(key_, open ? 0 : PKEY_DISABLE_ACCESS);
  } else if (mapped_ > 0) {
    mprotect(begin_, mapped_, open ? PROT_READ | PROT_WRITE : PROT_NONE);
  }
}

}  // namespace varve::fakes
