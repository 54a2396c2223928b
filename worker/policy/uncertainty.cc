#include "worker/policy/uncertainty.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

namespace varve {

std::size_t count_to_mass(std::span<const float> probabilities, double share) {
  std::vector<float> sorted(probabilities.begin(), probabilities.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const double total = std::accumulate(sorted.begin(), sorted.end(), 0.0);
  double sum = 0;
  std::size_t count = 0;
  // A sum of n equal parts may fall short of its share by rounding; that is not another row.
  const double wanted = share * total * (1 - 1e-9);
  while (count < sorted.size() && sum < wanted) sum += double{sorted[count++]};
  return count;
}

float uncertainty(const LayerRows& rows, const PolicyConfig& policy) {
  const std::size_t n = rows.rows();
  const std::size_t heads = rows.params.q_heads;
  std::vector<float> attention(heads * n);
  const bool has_window = policy.scorer.name == "window";
  window_attention(rows, has_window ? policy.scorer.count("window") : kUncertaintyWindow,
                   {attention.data(), heads, n, n});
  const std::size_t skip = std::min(n, policy.allocation.count("skip"));
  double sum = 0;
  for (std::size_t h = 0; h < heads; ++h) {
    const std::span<const float> row(attention.data() + h * n, n);
    sum += static_cast<double>(count_to_mass(row.subspan(skip), policy.allocation.get("mass")));
  }
  return static_cast<float>(sum / static_cast<double>(heads));
}

}  // namespace varve
