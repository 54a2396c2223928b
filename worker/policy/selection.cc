#include "worker/policy/selection.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/error.h"

namespace varve {
namespace {

// Better first: the larger score, then the later row. A NaN is worse than all.
struct Better {
  std::span<const float> scores;
  bool operator()(std::uint32_t a, std::uint32_t b) const {
    const float x = scores[a];
    const float y = scores[b];
    if (x > y) return true;
    if (y > x) return false;
    const bool x_valid = x == x;
    const bool y_valid = y == y;
    return x_valid != y_valid ? x_valid : a > b;
  }
};

// A copy of the layer's scores in which protected rows beat all others.
std::vector<float> protect(ConstMatrix scores, const Keep& keep) {
  constexpr float kAlways = std::numeric_limits<float>::infinity();
  std::vector<float> guarded(scores.rows * scores.cols);
  for (std::size_t h = 0; h < scores.rows; ++h) {
    float* row = guarded.data() + h * scores.cols;
    std::copy_n(scores.row(h), scores.cols, row);
    std::fill_n(row, std::min(keep.first, scores.cols), kAlways);
    std::fill_n(row + scores.cols - std::min(keep.last, scores.cols),
                std::min(keep.last, scores.cols), kAlways);
  }
  return guarded;
}

// Ada-KV: each head's best `floor` rows beat everything; the rest is one list over all heads.
KeptRows select_over_heads(std::vector<float> guarded, std::size_t heads, std::size_t rows,
                           std::size_t floor, std::size_t total) {
  for (std::size_t h = 0; h < heads; ++h) {
    const std::span<float> head(guarded.data() + h * rows, rows);
    for (const std::uint32_t row : top_rows(head, floor)) {
      head[row] = std::numeric_limits<float>::infinity();
    }
  }
  KeptRows kept;
  kept.heads.resize(heads);
  for (const std::uint32_t at : top_rows(guarded, total)) {
    kept.heads[at / rows].push_back(static_cast<std::uint32_t>(at % rows));
  }
  return kept;
}

}  // namespace

std::vector<std::uint32_t> top_rows(std::span<const float> scores, std::size_t count) {
  std::vector<std::uint32_t> rows(scores.size());
  std::iota(rows.begin(), rows.end(), 0U);
  if (count >= rows.size()) return rows;
  const auto cut = rows.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(rows.begin(), cut, rows.end(), Better{scores});
  rows.erase(cut, rows.end());
  std::sort(rows.begin(), rows.end());
  return rows;
}

KeptRows select_rows(const Component& allocation, ConstMatrix scores, const Keep& keep) {
  VARVE_CHECK(keep.first + keep.last <= keep.budget || keep.budget >= scores.cols,
              "{} + {} protected rows, budget {}", keep.first, keep.last, keep.budget);
  const std::vector<float> guarded = protect(scores, keep);
  if (allocation.name == "per_head") {
    const auto floor =
        static_cast<std::size_t>(allocation.get("floor") * static_cast<double>(keep.budget));
    const std::size_t least = std::max({floor, keep.first + keep.last, std::size_t{1}});
    return select_over_heads(guarded, scores.rows, scores.cols, std::min(least, keep.budget),
                             keep.budget * scores.rows);
  }
  KeptRows kept;
  for (std::size_t h = 0; h < scores.rows; ++h) {
    kept.heads.push_back(
        top_rows(std::span(guarded).subspan(h * scores.cols, scores.cols), keep.budget));
  }
  return kept;
}

}  // namespace varve
