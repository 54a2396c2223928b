#include "worker/cache/shared_selection.h"

#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "worker/policy/guided.h"

namespace varve {

SharedSelection::SharedSelection(const Options& options, ScoreExchange& exchange)
    : options_(options), exchange_(exchange) {}

void SharedSelection::give(const Scored& held) {
  VARVE_CHECK(held.sums.size() == held.positions.size(), "{} sums, {} positions", held.sums.size(),
              held.positions.size());
  UnderWay& fresh = under_way_.emplace_back();
  fresh.number = exchange_.give(held.sums);
  fresh.known.resize(held.sums.size());
  std::iota(fresh.known.begin(), fresh.known.end(), 0U);
  fresh.positions.assign(held.positions.begin(), held.positions.end());
}

std::optional<std::vector<std::uint32_t>> SharedSelection::next(const Scored& held) {
  give(held);
  if (under_way_.size() <= options_.lag) return std::nullopt;
  return take(held.sums.size());
}

std::optional<std::vector<std::uint32_t>> SharedSelection::last(std::size_t rows,
                                                                std::optional<Scored> held) {
  if (held) give(*held);
  // Only the newest scores know all rows; the older ones are no longer needed.
  while (under_way_.size() > 1) {
    sums_of(under_way_.front());
    under_way_.pop_front();
  }
  if (under_way_.empty()) return std::nullopt;
  return take(rows);
}

// By the oldest scores under way. Rows that came after them stay.
std::optional<std::vector<std::uint32_t>> SharedSelection::take(std::size_t rows) {
  const std::vector<std::int64_t> sums = std::move(sums_of(under_way_.front()));
  const std::vector<std::uint32_t> known = std::move(under_way_.front().known);
  const std::vector<std::int32_t> positions = std::move(under_way_.front().positions);
  under_way_.pop_front();
  const Keep& keep = options_.keep;
  if (known.size() <= keep.budget) return std::nullopt;
  VARVE_CHECK(known.size() <= rows && known.back() < sums.size(), "{} of {} rows, sums of {}",
              known.size(), rows, sums.size());
  PlacedScores placed;
  for (const std::uint32_t row : known) {
    placed.scores.push_back(from_fixed(sums[row]));
    placed.positions.push_back(positions[row]);
  }
  const std::size_t newer = rows - known.size();
  const Keep of_known{keep.budget, keep.first, keep.last - std::min(keep.last, newer)};
  std::vector<std::uint32_t> kept =
      best_pooled(std::move(placed), known.size(), of_known, options_.kernel).heads.front();
  for (std::size_t row = known.size(); row < rows; ++row) {
    kept.push_back(static_cast<std::uint32_t>(row));
  }
  drop_others(kept);
  return kept;
}

std::vector<std::int64_t>& SharedSelection::sums_of(UnderWay& scores) {
  if (!scores.sums) scores.sums = exchange_.take(scores.number);
  return *scores.sums;
}

std::vector<SavedScores> SharedSelection::save() {
  std::vector<SavedScores> saved;
  for (UnderWay& scores : under_way_)
    saved.push_back({scores.known, scores.positions, sums_of(scores)});
  return saved;
}

void SharedSelection::load(const std::vector<SavedScores>& saved) {
  for (const SavedScores& scores : saved) {
    under_way_.push_back({0, scores.known, scores.positions, scores.sums});
  }
}

void SharedSelection::drop_others(const std::vector<std::uint32_t>& kept) {
  for (UnderWay& newer : under_way_) {
    std::vector<std::uint32_t> held;
    for (const std::uint32_t row : kept) {
      if (row < newer.known.size()) held.push_back(newer.known[row]);
    }
    newer.known = std::move(held);
  }
}

}  // namespace varve
