// What is kept of an answer while it grows (SCOPE, arXiv 2412.13649). Counts alone: every layer of
// every rank decides by the step of the sequence, t = 1, 2, ... for the rows that decoding appends,
// and by T, the most rows that the answer can have.
#pragma once

#include <cstddef>

#include "common/policy/policy_config.h"

namespace varve {

class DecodeSchedule {
 public:
  /// Of the policy's decode slot, for answers of at most `answer_rows` rows.
  DecodeSchedule(const Component& decode, std::size_t answer_rows);

  /// Whether rows of the answer are ever dropped apart from the document's.
  bool has_pool() const { return kind_ != Kind::kKeep; }

  /// Most rows of the answer that a choice at step t leaves. Before the newest are `recent`, all.
  std::size_t pool_limit(std::size_t t) const;
  /// Whether rows are chosen after step t, if there are more than its limit.
  bool due(std::size_t t) const;
  /// Rows of the answer that are always kept: the newest.
  std::size_t recent() const { return recent_; }

  /// Rows that the pool holds after step t, what is due then being done.
  std::size_t rows_after(std::size_t t) const;
  /// Most rows that it ever holds: those after a step and the one that the next step appends.
  std::size_t peak_rows() const;

 private:
  enum class Kind { kKeep, kSlide, kAdaptive, kDiscontinuous };
  std::size_t literal_limit(std::size_t t) const;
  bool literal_due(std::size_t t) const;
  std::size_t grown(std::size_t t) const;
  std::size_t period() const;
  template <class Each>
  void each_step(std::size_t steps, Each each) const;

  Kind kind_ = Kind::kKeep;
  std::size_t heavy_ = 0;   // beta1
  std::size_t recent_ = 0;  // beta2
  bool literal_ = false;
  std::size_t steps_ = 0;  // T
};

}  // namespace varve
