// What one sequence holds of one layer: sealed segments that it may share with others, an open one
// of its own, and what a scorer asked to have observed.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "common/error.h"
#include "worker/cache/ledger.h"
#include "worker/cache/segment.h"
#include "worker/policy/observed.h"

namespace varve {

/// An Observed whose bytes stand in the ledger, which must outlive this.
class TrackedObserved {
 public:
  TrackedObserved(Observed observed, Ledger& ledger)
      : observed_(std::move(observed)), bytes_(observed_.bytes()), ledger_(ledger) {
    ledger_.add(bytes_);
  }
  ~TrackedObserved() { ledger_.remove(bytes_); }
  TrackedObserved(const TrackedObserved&) = delete;
  TrackedObserved& operator=(const TrackedObserved&) = delete;

  Observed& get() { return observed_; }
  const Observed& get() const { return observed_; }

 private:
  Observed observed_;
  std::size_t bytes_;
  Ledger& ledger_;
};

/// What probes paid to rows, [Hkv, rows] on the host. Its room stands in the ledger, which must
/// outlive this.
class ProbedRows {
 public:
  ProbedRows(std::size_t heads, std::size_t room, Ledger& ledger)
      : heads_(heads), room_(room), ledger_(ledger) {
    values_.reserve(heads * room);
    ledger_.add(bytes());
  }
  ~ProbedRows() { ledger_.remove(bytes()); }
  ProbedRows(const ProbedRows&) = delete;
  ProbedRows& operator=(const ProbedRows&) = delete;

  /// Of so many rows from now on, all zero.
  Matrix reset(std::size_t rows) {
    VARVE_CHECK(rows <= room_, "scores of {} rows, room for {}", rows, room_);
    values_.assign(heads_ * rows, 0.0F);
    return part(0, rows);
  }
  /// Of so many rows, the first `kept` as they were, the others zero.
  void restart(std::size_t kept, std::size_t rows) {
    const std::vector<float> before = values_;
    const std::size_t held = before.size() / heads_;
    VARVE_CHECK(kept <= held, "{} of {} scores", kept, held);
    reset(rows);
    for (std::size_t h = 0; h < heads_; ++h) {
      std::copy_n(before.data() + h * held, kept, values_.data() + h * rows);
    }
  }
  /// Of these rows alone, as many of each head.
  void keep(const KeptRows& kept) {
    const std::vector<float> before = values_;
    const std::size_t held = rows();
    reset(kept.heads.front().size());
    for (std::size_t h = 0; h < heads_; ++h) {
      std::transform(kept.heads[h].begin(), kept.heads[h].end(), values_.data() + h * rows(),
                     [&](std::uint32_t row) { return before[h * held + row]; });
    }
  }
  void restore(std::span<const float> values) { values_.assign(values.begin(), values.end()); }
  Matrix part(std::size_t first, std::size_t count) {
    return {values_.data() + first, heads_, count, rows()};
  }
  const std::vector<float>& values() const { return values_; }
  std::size_t rows() const { return values_.size() / heads_; }

 private:
  std::size_t bytes() const { return heads_ * room_ * sizeof(float); }

  std::size_t heads_;
  std::size_t room_;
  Ledger& ledger_;
  std::vector<float> values_;
};

/// What one question keeps of a document that is read locally.
struct QuestionCache {
  std::unique_ptr<Segment> kept;       // while it is read; behind the first rows, before the others
  std::unique_ptr<ProbedRows> probed;  // as long: kept and own rows, without the first ones
  std::vector<std::shared_ptr<const Segment>> shared;  // once it is compacted: all that it sees
};

struct LayerCache {
  std::vector<std::shared_ptr<const Segment>> shared;  // sealed, oldest first
  std::shared_ptr<Segment> own;                        // open; null where there are no own rows
  std::shared_ptr<TrackedObserved> observed;           // null: no scorer asks for anything
  std::unique_ptr<ProbedRows> probed;    // own rows of a stream that probes guide; null: none do
  std::vector<QuestionCache> questions;  // of a document that is read locally
};

}  // namespace varve
