// From logits to a token. A pure function: the random number comes from (seed, stream, position)
// alone, so no count of stages, neighbours or calls can change an answer.
#pragma once

#include <cstdint>
#include <span>

#include "common/wire/step.h"
#include "kernels/ops.h"

namespace varve {

struct Sampled {
  std::int32_t token = 0;
  float logprob = 0;  // natural log of softmax(logits)[token], before temperature and filters
};

/// Temperature 0 takes the largest logit, the lowest id among equals. Otherwise, in this order (as
/// transformers and vLLM have it): logits / temperature, top-k, top-p on the renormalised rest,
/// min-p relative to the likeliest, then one draw. `position` is that of the row.
/// `logits` are read at a temperature above 0 alone.
Sampled sample(const RowSummary& summary, std::span<const float> logits,
               const SamplingParams& params, std::uint32_t position);

/// Uniform in [0, 1), 53 bits, from a counter: SplitMix64's finaliser chained over the three.
double uniform_draw(std::uint64_t seed, std::uint64_t stream, std::uint64_t position);

}  // namespace varve
