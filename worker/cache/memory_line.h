// Memory over time in a bounded number of samples: when there are too many, neighbours become one.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "common/plan/audit.h"

namespace varve {

class MemoryLine {
 public:
  /// At most `most` samples, an even number.
  explicit MemoryLine(std::size_t most = 512) : most_(most) {}

  /// `bytes`: the most that was held since the last call. Times ascend.
  void add(std::chrono::milliseconds time, std::size_t bytes);
  /// A sample stands at the time of the last of the calls that it is the largest of.
  const std::vector<MemorySample>& samples() const { return samples_; }

 private:
  void halve();

  std::size_t most_;
  std::size_t stride_ = 1;  // calls to a sample
  std::size_t open_ = 0;    // calls in the last sample, if it is not full
  std::vector<MemorySample> samples_;
};

}  // namespace varve
