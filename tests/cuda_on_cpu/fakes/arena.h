// The addresses of device memory.
#pragma once

#include <cstddef>
#include <map>

namespace varve::fakes {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kHeapBacked = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kHeapBacked = true;
#else
inline constexpr bool kHeapBacked = false;
#endif
#else
inline constexpr bool kHeapBacked = false;
#endif

/// One mapping, so that one call opens and closes all of device memory, and so that an address
/// tells whose it is. Under AddressSanitizer: malloc, never closed.
class Arena {
 public:
  static constexpr std::size_t kAlignment = 256;  // as CUDA promises

  /// How it is closed. Protection keys are for one thread at a time and cost nothing; without them
  /// the mapping is open to all threads while one has opened it, which costs microseconds.
  enum class Guard { kKeys, kMapping };
  static Guard best_guard();

  /// Room for that many bytes, of which none is real memory yet.
  explicit Arena(std::size_t bytes, Guard guard = best_guard());
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// What a block of that many bytes occupies: also what holds its canary.
  static std::size_t footprint(std::size_t bytes);

  /// Null if there is no room. The arena must be open.
  std::byte* take(std::size_t footprint);
  void give_back(std::byte* p, std::size_t footprint);

  /// Opens and closes nest. One thread at a time has it open.
  void open();
  void close();
  /// Closes whatever is open, for host code in the middle of it; reopen takes what this returns.
  int close_all();
  void reopen(int depth);

 private:
  void set_open(bool open);
  void map_up_to(std::size_t end);

  Guard guard_;
  int key_ = -1;
  std::byte* mapping_ = nullptr;
  std::size_t mapping_size_ = 0;
  std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
  std::size_t top_ = 0;     // offset of what was never given out
  std::size_t mapped_ = 0;  // offset of what no process may touch yet
  int open_ = 0;
  std::map<std::size_t, std::size_t> free_;  // offset, bytes; neighbours are joined
};

/// Device memory is there while one lives.
class DeviceOpen {
 public:
  explicit DeviceOpen(Arena& arena) : arena_(arena) { arena_.open(); }
  ~DeviceOpen() { arena_.close(); }
  DeviceOpen(const DeviceOpen&) = delete;
  DeviceOpen& operator=(const DeviceOpen&) = delete;

 private:
  Arena& arena_;
};

}  // namespace varve::fakes
