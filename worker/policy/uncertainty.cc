#include "worker/policy/uncertainty.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/error.h"
#include "worker/policy/window_attention.h"

namespace varve {
namespace {

// What falls into one value of some bits of the numbers, which ascend with the numbers themselves
// as none is negative.
struct Bin {
  double sum = 0;
  std::size_t count = 0;
};

// The numbers whose bits from `from` on are `prefix`, by their next `width` lower bits.
std::vector<Bin> count_bins(std::span<const float> numbers, std::uint32_t prefix, unsigned from,
                            unsigned width) {
  std::vector<Bin> bins(std::size_t{1} << width);
  const std::uint32_t mask = (1U << width) - 1;
  for (const float number : numbers) {
    const auto bits = std::bit_cast<std::uint32_t>(number);
    if (from < 32 && bits >> from != prefix) continue;
    Bin& bin = bins[(bits >> (from - width)) & mask];
    bin.sum += double{number};
    ++bin.count;
  }
  return bins;
}

}  // namespace

// Bin after bin from the largest numbers down, while all of a bin is needed; of the next one only a
// part is, so it is split by its next bits, until all of its numbers are equal.
std::size_t count_to_mass(std::span<const float> probabilities, double share) {
  const double total = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  // A sum of n equal parts may fall short of its share by rounding; that is not another row.
  double wanted = share * total * (1 - 1e-9);
  if (!(wanted > 0)) return 0;
  std::size_t taken = 0;
  std::uint32_t prefix = 0;
  unsigned from = 32;
  for (const unsigned width : {11U, 11U, 10U}) {
    const std::vector<Bin> bins = count_bins(probabilities, prefix, from, width);
    std::size_t at = bins.size() - 1;
    for (; at > 0 && bins[at].sum < wanted; --at) {
      wanted -= bins[at].sum;
      taken += bins[at].count;
    }
    from -= width;
    prefix = prefix << width | static_cast<std::uint32_t>(at);
  }
  const double each = double{std::bit_cast<float>(prefix)};
  if (each > 0) taken += static_cast<std::size_t>(std::ceil(wanted / each));
  return std::min(taken, probabilities.size());
}

float uncertainty(const LayerRows& rows, const PolicyConfig& policy) {
  const std::size_t n = rows.rows();
  const std::size_t group = rows.params.q_heads / rows.model.kv_heads;
  const bool has_window = policy.scorer.name == "window";
  const std::size_t window = has_window ? policy.scorer.count("window") : kUncertaintyWindow;
  const std::size_t skip = std::min(n, policy.allocation.count("skip"));
  std::vector<float> attention(group * n);
  const Matrix of_head{attention.data(), group, n, n};
  double sum = 0;
  for (std::size_t head = 0; head < rows.model.kv_heads; ++head) {
    window_attention_apart(rows, head, window, of_head);
    for (std::size_t g = 0; g < group; ++g) {
      const std::span<const float> row(of_head.row(g) + skip, n - skip);
      sum += static_cast<double>(count_to_mass(row, policy.allocation.get("mass")));
    }
  }
  return static_cast<float>(sum / static_cast<double>(rows.params.q_heads));
}

}  // namespace varve
