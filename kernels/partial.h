// Arithmetic of partials (out, lse) for one head of one row; every host backend merges with it.
#pragma once

#include <span>

namespace varve {

/// One head of one row: D weighted values and the log of the sum of their weights.
struct HeadPartial {
  std::span<float> out;  // [D]
  float& lse;
};

/// to = merge(to, (out, lse)), as defined at `Partial`. A side with lse = -infinity changes
/// nothing, bit for bit.
void merge_head(std::span<const float> out, float lse, HeadPartial to);

}  // namespace varve
