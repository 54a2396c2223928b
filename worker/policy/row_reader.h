// Cached rows on the host, some at a time, for scorers that look at keys and values themselves.
#pragma once

#include <functional>

#include "worker/policy/scorer.h"

namespace varve {

/// Some consecutive rows of a head: keys and values [count, D] in memory of the backend.
struct RowBlock {
  std::size_t begin = 0;  // counted over all segments
  Matrix keys;
  Matrix values;  // no rows, unless asked for
};

class RowReader {
 public:
  RowReader(const LayerRows& rows, bool with_values);
  /// All rows of a head in order, block by block.
  void read(std::size_t head, const std::function<void(const RowBlock&)>& each);

 private:
  const LayerRows& rows_;
  bool with_values_;
  Buffer keys_;
  Buffer values_;
};

/// The length of each row of a host matrix, in double.
double length_of(const float* row, std::size_t size);

}  // namespace varve
