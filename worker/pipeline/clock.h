// Adds the time of a scope to a counter.
#pragma once

#include <chrono>
#include <cstdint>

namespace varve {

class ScopedTimer {
 public:
  explicit ScopedTimer(std::uint64_t& total_ns) : total_ns_(total_ns) {}
  ScopedTimer(const ScopedTimer&) = delete;
  ScopedTimer& operator=(const ScopedTimer&) = delete;
  ~ScopedTimer() {
    const auto spent = std::chrono::steady_clock::now() - begin_;
    total_ns_ += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
  }

 private:
  std::uint64_t& total_ns_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace varve
