// One selection for all layers and heads of a stream, from scores that are added up over them (and
// over all stages): guided streaming with scope `stage` or `global`. A selection may come `lag`
// compactions late, so that no stage waits for those behind it: rows that came in the meantime stay
// until their own turn.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "worker/cache/saved_sequence.h"
#include "worker/cache/score_exchange.h"
#include "worker/policy/selection.h"

namespace varve {

class SharedSelection {
 public:
  struct Options {
    std::size_t lag = 0;     // compactions
    std::size_t kernel = 1;  // rows that sums are pooled over
    Keep keep{};             // of the rows that a selection is about, but `last` of all rows
  };
  /// `exchange` must outlive this.
  SharedSelection(const Options& options, ScoreExchange& exchange);

  /// What is known of the rows held, ascending by position.
  struct Scored {
    std::span<const std::int64_t> sums;
    std::span<const std::int32_t> positions;  // of as many rows
  };
  /// A compaction is due. Returns which of the rows held stay, if a selection is ready and drops
  /// any; then the caller drops the others.
  std::optional<std::vector<std::uint32_t>> next(const Scored& held);
  /// The document has ended with `rows` rows held; `held` if it was not passed to `next` yet. As
  /// above; what is returned is within the budget.
  std::optional<std::vector<std::uint32_t>> last(std::size_t rows, std::optional<Scored> held);

  /// What is under way; waits for it.
  std::vector<SavedScores> save();
  void load(const std::vector<SavedScores>& saved);

 private:
  struct UnderWay {
    std::uint64_t number = 0;                       // of the exchange
    std::vector<std::uint32_t> known;               // which of its rows are still held
    std::vector<std::int32_t> positions{};          // of all its rows
    std::optional<std::vector<std::int64_t>> sums;  // taken already
  };

  void give(const Scored& held);
  std::optional<std::vector<std::uint32_t>> take(std::size_t rows);
  std::vector<std::int64_t>& sums_of(UnderWay& scores);
  void drop_others(const std::vector<std::uint32_t>& kept);

  Options options_;
  ScoreExchange& exchange_;
  std::deque<UnderWay> under_way_;  // oldest first
};

}  // namespace varve
