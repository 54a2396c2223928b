// Counts the bytes of a rank's cache as they come and go. The peak must equal what common/plan
// computed before the job started.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

namespace varve {

class Ledger {
 public:
  void add(std::size_t bytes) {
    current_ += bytes;
    peak_ = std::max(peak_, current_);
    high_ = std::max(high_, current_);
  }
  void remove(std::size_t bytes) { current_ -= bytes; }
  std::size_t current() const { return current_; }
  std::size_t peak() const { return peak_; }
  /// The most since the last call, to follow it over time.
  std::size_t take_high() { return std::exchange(high_, current_); }

 private:
  std::size_t current_ = 0;
  std::size_t peak_ = 0;
  std::size_t high_ = 0;
};

}  // namespace varve
