// Cached rows as float32, some at a time, for scorers that look at keys and values themselves.
#pragma once

#include <functional>
#include <vector>

#include "worker/policy/scorer.h"

namespace varve {

/// Some consecutive rows of a head.
struct RowBlock {
  std::size_t begin = 0;    // counted over all segments
  ConstMatrix device_keys;  // [count, D], memory of the backend
  ConstMatrix keys;         // the same on the host
  ConstMatrix values;       // on the host; no rows, unless asked for
};

class RowReader {
 public:
  static constexpr std::size_t kBlockRows = 512;

  RowReader(const LayerRows& rows, bool with_values);
  /// All rows of a head in order, block by block.
  void read(std::size_t head, const std::function<void(const RowBlock&)>& each);

 private:
  const LayerRows& rows_;
  bool with_values_;
  Buffer buffer_;            // keys and values [kBlockRows, D] each
  std::vector<float> host_;  // likewise
};

/// In double; four sums that are added in the end, so that one need not wait for the other.
template <class T>
double dot(const float* a, const T* b, std::size_t size) {
  double sums[4] = {};
  for (std::size_t i = 0; i + 4 <= size; i += 4) {
    for (std::size_t j = 0; j < 4; ++j) sums[j] += double{a[i + j]} * double{b[i + j]};
  }
  for (std::size_t i = size - size % 4; i < size; ++i) sums[0] += double{a[i]} * double{b[i]};
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double length_of(const float* row, std::size_t size);

}  // namespace varve
