// The pause between two looks at something that another rank has to do.
#pragma once

#include <chrono>

namespace varve {

/// Spins for 20 us, which covers a neighbour on another core; then sleeps for a sixteenth of the
/// time waited so far, 20 to 300 us. So it adds little to a short wait, and a rank that waits for
/// long leaves its core to one that computes (ranks share few cores).
class Backoff {
 public:
  static constexpr std::chrono::microseconds kLongest{300};

  /// `longest`: shorter where each poll moves data.
  explicit Backoff(std::chrono::microseconds longest = kLongest) : longest_(longest) {}
  void pause();

 private:
  std::chrono::microseconds longest_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace varve
