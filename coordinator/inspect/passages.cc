#include "coordinator/inspect/passages.h"

#include <algorithm>
#include <numeric>

namespace varve {
namespace {

constexpr std::size_t kMostSpans = 8;

AttendedPassage passage_around(std::span<const double> shares, std::size_t first, std::size_t peak,
                               std::vector<bool>& taken) {
  AttendedPassage passage{peak, peak + 1, shares[peak]};
  const auto joins = [&](std::size_t s) { return !taken[s] && shares[s] >= shares[peak] / 2; };
  while (passage.end - passage.begin < kMostSpans) {
    const bool left = passage.begin > first && joins(passage.begin - 1);
    const bool right = passage.end < shares.size() && joins(passage.end);
    if (!left && !right) break;
    const bool go_left = left && (!right || shares[passage.begin - 1] >= shares[passage.end]);
    passage.share += go_left ? shares[--passage.begin] : shares[passage.end++];
  }
  std::fill(taken.begin() + static_cast<std::ptrdiff_t>(passage.begin),
            taken.begin() + static_cast<std::ptrdiff_t>(passage.end), true);
  return passage;
}

std::vector<LostPassage> runs_of(std::span<const std::uint32_t> span_layers, std::uint32_t most) {
  std::vector<LostPassage> runs;
  for (std::size_t s = 0; s < span_layers.size(); ++s) {
    if (span_layers[s] > most) continue;
    if (runs.empty() || runs.back().end != s) runs.push_back({s, s});
    runs.back().end = s + 1;
  }
  return runs;
}

}  // namespace

std::vector<AttendedPassage> attended_passages(std::span<const double> shares, std::size_t first,
                                               std::size_t most) {
  first = std::min(first, shares.size());
  std::vector<std::size_t> order(shares.size() - first);
  std::iota(order.begin(), order.end(), first);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return shares[a] > shares[b]; });
  std::vector<bool> taken(shares.size());
  std::vector<AttendedPassage> passages;
  for (const std::size_t peak : order) {
    if (passages.size() == most || shares[peak] <= 0) break;
    if (!taken[peak]) passages.push_back(passage_around(shares, first, peak, taken));
  }
  std::stable_sort(
      passages.begin(), passages.end(),
      [](const AttendedPassage& a, const AttendedPassage& b) { return a.share > b.share; });
  return passages;
}

LostPassages lost_passages(std::span<const std::uint32_t> span_layers, std::uint32_t layers,
                           std::size_t most) {
  LostPassages lost;
  for (lost.layers = layers;; --lost.layers) {
    lost.longest = runs_of(span_layers, layers - lost.layers);
    if (lost.longest.size() >= most || 2 * (lost.layers - 1) < layers || lost.layers == 1) break;
  }
  lost.count = lost.longest.size();
  std::stable_sort(
      lost.longest.begin(), lost.longest.end(),
      [](const LostPassage& a, const LostPassage& b) { return a.end - a.begin > b.end - b.begin; });
  lost.longest.resize(std::min(most, lost.longest.size()));
  return lost;
}

}  // namespace varve
