// From scores to kept sets. Pure functions of host floats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/policy/policy_config.h"
#include "common/tensor.h"

namespace varve {

/// Which rows stay: of each key head, ascending.
struct KeptRows {
  std::vector<std::vector<std::uint32_t>> heads;  // [Hkv]
  bool operator==(const KeptRows&) const = default;
};

/// The `count` rows of the largest scores, ascending; among equals the later row, so that a choice
/// is the same however rows were counted. All rows if there are no more. O(rows).
std::vector<std::uint32_t> top_rows(std::span<const float> scores, std::size_t count);

/// How many rows of a layer stay, and which in any case.
struct Keep {
  std::size_t budget = 0;  // rows per key head, on average over the layer's heads
  std::size_t first = 0;   // rows at the start
  std::size_t last = 0;    // rows at the end; first + last <= budget
};

/// scores [Hkv, n]. `uniform`: `budget` rows of each head. `per_head` (Ada-KV, arXiv 2407.11550):
/// budget * Hkv rows of the layer in all, the best over all heads after every head has its floor.
/// Every other allocation is uniform within a layer.
KeptRows select_rows(const Component& allocation, ConstMatrix scores, const Keep& keep);

}  // namespace varve
