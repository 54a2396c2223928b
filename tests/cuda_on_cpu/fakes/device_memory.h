#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/fakes/arena.h"

namespace varve::fakes {

struct Block {
  std::byte* begin = nullptr;
  std::size_t bytes = 0;
  int device = 0;
  bool stream_ordered = false;  // of cudaMallocAsync
  std::uint64_t serial = 0;     // never used again, unlike the address
};

/// Blocks of device memory: filled with NaN when they come and when they go, with a canary behind
/// each.
class DeviceMemory {
 public:
  DeviceMemory(std::size_t devices, std::size_t bytes_each);

  Arena& arena() { return arena_; }
  std::size_t bytes_each() const { return bytes_each_; }
  std::size_t used(int device) const { return used_[static_cast<std::size_t>(device)]; }
  bool empty() const { return blocks_.empty(); }

  /// Null if the device has not that much left.
  Block* allocate(std::size_t bytes, int device);
  /// Of a block's first byte.
  void release(void* p);
  /// The block that an address lies in.
  const Block* find(const void* p) const;
  const Block* starting_at(const void* p) const;
  /// Fills with NaN.
  void poison(const Block& block);
  /// What was written behind a block, if anything; its canary is then whole again. The arena must
  /// be open.
  std::optional<std::string> take_overrun(const Block& block);
  std::optional<std::string> take_overrun();  // of any block

 private:
  Arena arena_;
  const std::size_t bytes_each_;
  std::vector<std::size_t> used_;
  std::map<const std::byte*, Block> blocks_;  // by first byte
  std::uint64_t next_serial_ = 1;
};

/// Page-locked host memory: what cudaMallocHost gave and what was registered.
class PinnedMemory {
 public:
  struct Range {
    std::size_t bytes;
    bool owned;
    std::uint64_t serial;
  };

  /// Null if there is no memory. Filled with NaN.
  void* allocate(std::size_t bytes);
  /// False if that is not the first byte of an owned (or registered) range.
  bool release(void* p, bool owned);
  /// False if part of it is registered already.
  bool add(void* p, std::size_t bytes);
  const std::pair<const std::byte* const, Range>* find(const void* p) const;

 private:
  std::map<const std::byte*, Range> ranges_;
  std::uint64_t next_serial_ = 1;
};

}  // namespace varve::fakes
