// How spread a layer's attention is: the allocation slot's `uncertainty` (ZigZagKV, arXiv
// 2412.09036, equation 6).
#pragma once

#include "worker/policy/scorer.h"

namespace varve {

/// LMBA: the least number of rows that hold `mass` of a query head's window attention, as a mean
/// over the query heads. Of raw probabilities, neither pooled nor protected; the first `skip` rows
/// count neither as rows nor as attention.
float uncertainty(const LayerRows& rows, const PolicyConfig& policy);

/// The least number of the largest of these that add up to at least `share` of their sum; none is
/// negative. O(n).
std::size_t count_to_mass(std::span<const float> probabilities, double share);

}  // namespace varve
