#include <algorithm>
#include <deque>
#include <limits>
#include <vector>

#include "common/error.h"
#include "worker/policy/scorer.h"

namespace varve {
namespace {

// Each element becomes `combine` over the `size` around it, `nothing` where they lie outside. Cut
// into blocks of `size`, what a window covers is the end of one block and the beginning of the next
// (van Herk's algorithm). A running sum would do as well but for the rounding errors that it leaves
// where all scores are 0.
template <class T, class Combine, class Finish>
void pool(std::span<float> scores, std::size_t size, T nothing, Combine combine, Finish finish) {
  VARVE_CHECK(size % 2 == 1, "a pool of {}", size);
  const std::vector<float> from(scores.begin(), scores.end());
  const std::size_t half = size / 2;
  const auto padded = [&](std::size_t at) {
    return at < half || at - half >= from.size() ? nothing : T{from[at - half]};
  };
  std::vector<T> ends(size, nothing);  // from here to the end of the block
  T beginning = nothing;               // of the next block
  for (std::size_t i = 0; i < from.size(); ++i) {
    const std::size_t at = i % size;
    if (at == 0) {
      T end = nothing;
      for (std::size_t j = size; j-- > 0;) ends[j] = end = combine(padded(i + j), end);
      beginning = nothing;
    } else {
      beginning = combine(beginning, padded(i + size - 1));
    }
    scores[i] = finish(combine(ends[at], beginning));
  }
}

}  // namespace

void pool_mean(std::span<float> scores, std::size_t size) {
  pool(
      scores, size, 0.0, [](double a, double b) { return a + b; },
      [&](double sum) { return static_cast<float>(sum / static_cast<double>(size)); });
}

void pool_max(std::span<float> scores, std::size_t size) {
  pool(
      scores, size, -std::numeric_limits<float>::infinity(),
      [](float a, float b) { return std::max(a, b); }, [](float largest) { return largest; });
}

void pool_max_near(std::span<float> scores, std::span<const std::int32_t> positions,
                   std::size_t size) {
  VARVE_CHECK(size % 2 == 1 && positions.size() == scores.size(),
              "{} scores, {} positions, pool {}", scores.size(), positions.size(), size);
  const std::vector<float> from(scores.begin(), scores.end());
  const auto half = static_cast<std::int64_t>(size / 2);
  std::deque<std::size_t> falling;  // rows of the window that no later one exceeds
  std::size_t next = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    for (; next < from.size() && positions[next] <= positions[i] + half; ++next) {
      while (!falling.empty() && from[falling.back()] <= from[next]) falling.pop_back();
      falling.push_back(next);
    }
    while (positions[falling.front()] < positions[i] - half) falling.pop_front();
    scores[i] = from[falling.front()];
  }
}

}  // namespace varve
