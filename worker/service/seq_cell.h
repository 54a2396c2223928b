// A small value that one thread writes in a hot loop and another reads now and then: a sequence
// lock. The writer never waits; the reader tries again when it met a write half-way.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace varve {

template <class T>
class SeqCell {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint64_t) == 0);

 public:
  /// By one thread at a time.
  void store(const T& value) {
    const auto words = std::bit_cast<Words>(value);
    const std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);
    // Releasing each word keeps the odd sequence number before it, without a fence.
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  T load() const {
    Words words{};
    std::uint64_t before = 0;
    do {
      before = sequence_.load(std::memory_order_acquire);
      for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
    } while (before % 2 != 0 || sequence_.load(std::memory_order_relaxed) != before);
    return std::bit_cast<T>(words);
  }

 private:
  static constexpr std::size_t kWords = sizeof(T) / sizeof(std::uint64_t);
  using Words = std::array<std::uint64_t, kWords>;

  std::atomic<std::uint64_t> sequence_{0};  // odd: a write is under way
  std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

}  // namespace varve
