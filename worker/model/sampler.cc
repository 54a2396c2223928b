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

// By logit, equals by id. The weights would not do: far ones are zero together.
auto likelier_than(std::span<const float> logits) {
  return [logits](const Candidate& a, const Candidate& b) {
    const float la = logits[static_cast<std::size_t>(a.token)];
    const float lb = logits[static_cast<std::size_t>(b.token)];
    return la != lb ? la > lb : a.token < b.token;
  };
}

// All tokens in the order of their ids.
std::vector<Candidate> all_tokens(std::span<const float> logits, float temperature, float largest) {
  std::vector<Candidate> all(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double distance = static_cast<double>(logits[i]) - largest;
    all[i] = {static_cast<std::int32_t>(i), std::exp(distance / temperature)};
  }
  return all;
}

double total_weight(const std::vector<Candidate>& candidates) {
  return std::accumulate(candidates.begin(), candidates.end(), 0.0,
                         [](double sum, const Candidate& c) { return sum + c.weight; });
}

// Cuts leave the order of ids, so that sums and draws do not depend on how a cut was made.
void sort_by_id(std::vector<Candidate>& candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
}

// The top_k likeliest.
void cut_top_k(std::vector<Candidate>& candidates, std::uint32_t top_k,
               std::span<const float> logits) {
  if (top_k == 0 || top_k >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + top_k, candidates.end(),
                   likelier_than(logits));
  candidates.resize(top_k);
  sort_by_id(candidates);
}

// The fewest of the likeliest that hold at least top_p of the mass; never none. A heap, because a
// few hundred of many thousand are enough as a rule.
void cut_top_p(std::vector<Candidate>& candidates, float top_p, std::span<const float> logits) {
  if (top_p >= 1) return;
  const double wanted = top_p * total_weight(candidates);
  const auto likelier = likelier_than(logits);
  const auto later = [&likelier](const Candidate& a, const Candidate& b) { return likelier(b, a); };
  std::make_heap(candidates.begin(), candidates.end(), later);
  double mass = 0;
  auto end = candidates.end();
  do {
    std::pop_heap(candidates.begin(), end--, later);
    mass += end->weight;
  } while (end != candidates.begin() && mass < wanted);
  candidates.erase(candidates.begin(), end);
  sort_by_id(candidates);
}

// The likeliest has weight 1 and stays whatever the cut.
void cut_min_p(std::vector<Candidate>& candidates, float min_p) {
  std::erase_if(candidates, [min_p](const Candidate& c) { return c.weight < min_p; });
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
  if (params.temperature <= 0) return {summary.top, -summary.log_sum};
  VARVE_CHECK(!logits.empty(), "no logits at position {}", position);
  std::vector<Candidate> candidates = all_tokens(logits, params.temperature, summary.largest);
  cut_top_k(candidates, params.top_k, logits);
  cut_top_p(candidates, params.top_p, logits);
  cut_min_p(candidates, params.min_p);
  const std::int32_t token = draw(candidates, uniform_draw(params.seed, params.stream, position));
  const float distance = logits[static_cast<std::size_t>(token)] - summary.largest;
  return {token, distance - summary.log_sum};
}

}  // namespace varve
