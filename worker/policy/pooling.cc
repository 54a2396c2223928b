#include <algorithm>
#include <deque>
#include <limits>
#include <vector>

#include "common/error.h"
#include "worker/policy/scorer.h"

namespace varve {

void pool_mean(std::span<float> scores, std::size_t size) {
  VARVE_CHECK(size % 2 == 1, "a pool of {}", size);
  const std::vector<float> from(scores.begin(), scores.end());
  const std::size_t half = size / 2;
  for (std::size_t i = 0; i < from.size(); ++i) {
    // Not a sum that slides along: it would leave rounding errors where all scores are 0.
    const std::size_t begin = i - std::min(i, half);
    const std::size_t end = std::min(i + half + 1, from.size());
    double sum = 0;
    for (std::size_t j = begin; j < end; ++j) sum += double{from[j]};
    scores[i] = static_cast<float>(sum / static_cast<double>(size));
  }
}

void pool_max(std::span<float> scores, std::size_t size) {
  VARVE_CHECK(size % 2 == 1, "a pool of {}", size);
  const std::vector<float> from(scores.begin(), scores.end());
  const std::size_t half = size / 2;
  std::deque<std::size_t> best;  // of the window: each larger than those behind it
  std::size_t next = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (; next < std::min(i + half + 1, from.size()); ++next) {
      while (!best.empty() && from[best.back()] <= from[next]) best.pop_back();
      best.push_back(next);
    }
    if (best.front() + half < i) best.pop_front();
    scores[i] = from[best.front()];
  }
}

}  // namespace varve
