#include "worker/model/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/error.h"
#include "common/split_mix.h"

namespace varve {
namespace {

struct Candidate {
  std::int32_t token;
  double weight;  // unnormalised probability, 1 for the likeliest
};

// All tokens, likeliest first, equals by id; only the first top_k if that is set.
std::vector<Candidate> ranked(std::span<const float> logits, const SamplingParams& params,
                              float largest) {
  std::vector<Candidate> all(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double distance = static_cast<double>(logits[i]) - largest;
    all[i] = {static_cast<std::int32_t>(i), std::exp(distance / params.temperature)};
  }
  const auto likelier = [&logits](const Candidate& a, const Candidate& b) {
    const float la = logits[static_cast<std::size_t>(a.token)];
    const float lb = logits[static_cast<std::size_t>(b.token)];
    return la != lb ? la > lb : a.token < b.token;
  };
  const std::size_t keep =
      params.top_k == 0 ? all.size() : std::min<std::size_t>(params.top_k, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(keep), all.end(),
                    likelier);
  all.resize(keep);
  return all;
}

double total_weight(const std::vector<Candidate>& candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double sum, const Candidate& c) { return sum + c.weight; });
}

// The smallest head of the list that holds at least top_p of the mass; never empty.
void cut_top_p(std::vector<Candidate>& candidates, float top_p) {
  if (top_p >= 1) return;
  const double wanted = top_p * total_weight(candidates);
  double mass = 0;
  std::size_t keep = 0;
  while (keep < candidates.size() && (keep == 0 || mass < wanted))
    mass += candidates[keep++].weight;
  candidates.resize(keep);
}

void cut_min_p(std::vector<Candidate>& candidates, float min_p) {
  const double least = min_p * candidates.front().weight;
  while (candidates.size() > 1 && candidates.back().weight < least) candidates.pop_back();
}

std::int32_t draw(const std::vector<Candidate>& candidates, double uniform) {
  double left = uniform * total_weight(candidates);
  for (const Candidate& c : candidates) {
    left -= c.weight;
    if (left < 0) return c.token;
  }
  return candidates.back().token;
}

}  // namespace

double uniform_draw(std::uint64_t seed, std::uint64_t stream, std::uint64_t position) {
  return static_cast<double>(split_mix(split_mix(split_mix(seed) ^ stream) ^ position) >> 11) *
         0x1p-53;
}

Sampled sample(const RowSummary& summary, std::span<const float> logits,
               const SamplingParams& params, std::uint32_t position) {
  if (params.temperature <= 0) return {summary.top, summary.largest - summary.log_sum_exp};
  VARVE_CHECK(!logits.empty(), "no logits at position {}", position);
  std::vector<Candidate> candidates = ranked(logits, params, summary.largest);
  cut_top_p(candidates, params.top_p);
  cut_min_p(candidates, params.min_p);
  const std::int32_t token = draw(candidates, uniform_draw(params.seed, params.stream, position));
  return {token, logits[static_cast<std::size_t>(token)] - summary.log_sum_exp};
}

}  // namespace varve
