#include "worker/policy/selection.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numeric>

#include "common/error.h"

namespace varve {
namespace {

// Scores in the order of unsigned numbers, a NaN below all of them. Ranks that no score has are for
// rows that stay whatever theirs is.
using Rank = std::uint32_t;
constexpr Rank kFloor = 0xFFFF'FFFE;      // among its head's best
constexpr Rank kProtected = 0xFFFF'FFFF;  // at the start or the end

Rank rank_of(float score) {
  if (std::isnan(score)) return 0;
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // the sum makes -0 a 0
  constexpr std::uint32_t kSign = 0x8000'0000;
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

std::vector<Rank> rank_all(std::span<const float> scores) {
  std::vector<Rank> ranks(scores.size());
  std::transform(scores.begin(), scores.end(), ranks.begin(), rank_of);
  return ranks;
}

// Takes every rank above `least`, and of those equal to it all but the first `skipped`.
struct Cut {
  Rank least = 0;
  std::size_t skipped = 0;

  bool takes(Rank rank) {
    if (rank != least) return rank > least;
    if (skipped == 0) return true;
    --skipped;
    return false;
  }
};

// By which `count` of more ranks than that are taken.
Cut cut_at(std::vector<Rank> ranks, std::size_t count) {
  const auto behind = ranks.begin() + static_cast<std::ptrdiff_t>(count);
  if (count == 0) return {kProtected, ranks.size()};
  std::nth_element(ranks.begin(), behind - 1, ranks.end(), std::greater<>());
  const Rank least = *(behind - 1);
  return {least, static_cast<std::size_t>(std::count(behind, ranks.end(), least))};
}

std::vector<std::uint32_t> top_ranks(std::span<const Rank> ranks, std::size_t count) {
  std::vector<std::uint32_t> rows(std::min(count, ranks.size()));
  if (count >= ranks.size()) {
    std::iota(rows.begin(), rows.end(), 0U);
    return rows;
  }
  Cut cut = cut_at({ranks.begin(), ranks.end()}, count);
  auto next = rows.begin();
  for (std::uint32_t row = 0; row < ranks.size(); ++row) {
    if (cut.takes(ranks[row])) *next++ = row;
  }
  return rows;
}

// [heads, rows], with protected rows.
std::vector<Rank> rank_layer(ConstMatrix scores, const Keep& keep) {
  const std::size_t rows = scores.cols;
  std::vector<Rank> ranks(scores.rows * rows);
  for (std::size_t h = 0; h < scores.rows; ++h) {
    Rank* head = ranks.data() + h * rows;
    std::transform(scores.row(h), scores.row(h) + rows, head, rank_of);
    std::fill_n(head, std::min(keep.first, rows), kProtected);
    std::fill_n(head + rows - std::min(keep.last, rows), std::min(keep.last, rows), kProtected);
  }
  return ranks;
}

// Ada-KV: each head's best `floor` rows, and the best of what is left of all heads. Equal ones are
// taken by row, so that no head gains from being the last.
KeptRows select_over_heads(std::vector<Rank> ranks, std::size_t heads, std::size_t floor,
                           std::size_t total) {
  const std::size_t rows = ranks.size() / heads;
  for (std::size_t h = 0; h < heads; ++h) {
    Rank* head = ranks.data() + h * rows;
    for (const std::uint32_t row : top_ranks({head, rows}, floor)) {
      head[row] = std::max(head[row], kFloor);
    }
  }
  KeptRows kept;
  kept.heads.resize(heads);
  Cut cut = total < ranks.size() ? cut_at(ranks, total) : Cut{};
  for (std::uint32_t row = 0; row < rows; ++row) {
    for (std::size_t h = 0; h < heads; ++h) {
      if (cut.takes(ranks[h * rows + row])) kept.heads[h].push_back(row);
    }
  }
  return kept;
}

}  // namespace

std::vector<std::uint32_t> top_rows(std::span<const float> scores, std::size_t count) {
  return top_ranks(rank_all(scores), count);
}

KeptRows select_rows(const Component& allocation, ConstMatrix scores, const Keep& keep) {
  VARVE_CHECK(keep.first + keep.last <= keep.budget || keep.budget >= scores.cols,
              "{} + {} protected rows, budget {}", keep.first, keep.last, keep.budget);
  const std::size_t rows = scores.cols;
  std::vector<Rank> ranks = rank_layer(scores, keep);
  if (allocation.name == "per_head") {
    const double floor = allocation.get("floor");
    auto least = static_cast<std::size_t>(floor * static_cast<double>(keep.budget));
    // Whoever wants a floor wants no head to be empty.
    if (floor > 0 && keep.budget > 0) least = std::max<std::size_t>(least, 1);
    return select_over_heads(std::move(ranks), scores.rows, least, keep.budget * scores.rows);
  }
  KeptRows kept;
  for (std::size_t h = 0; h < scores.rows; ++h) {
    kept.heads.push_back(top_ranks(std::span(ranks).subspan(h * rows, rows), keep.budget));
  }
  return kept;
}

}  // namespace varve
