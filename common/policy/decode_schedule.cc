#include "common/policy/decode_schedule.h"

#include <algorithm>

namespace varve {

DecodeSchedule::DecodeSchedule(const Component& decode, std::size_t answer_rows)
    : steps_(answer_rows) {
  if (decode.name == "slide") kind_ = Kind::kSlide;
  if (decode.name == "adaptive") kind_ = Kind::kAdaptive;
  if (decode.name == "discontinuous") kind_ = Kind::kDiscontinuous;
  if (kind_ == Kind::kKeep) return;  // one_pool, too: it has no pool of the answer's own
  heavy_ = decode.count("heavy");
  recent_ = decode.count("recent");
  literal_ = kind_ != Kind::kSlide && decode.choice("literal") == "yes";
}

// floor((t - beta2) beta1 / (T - beta2)), beta1 from T on.
std::size_t DecodeSchedule::grown(std::size_t t) const {
  if (t <= recent_) return 0;
  if (t >= steps_) return heavy_;
  return (t - recent_) * heavy_ / (steps_ - recent_);
}

// The published code's delta. It divides by zero for beta1 = 0 and for answers shorter than
// beta1 + beta2.
std::size_t DecodeSchedule::period() const {
  if (heavy_ == 0 || steps_ <= recent_) return 1;
  return std::max<std::size_t>(1, (steps_ - recent_) / heavy_);
}

// It counts from the first step, not from beta2, and beyond beta1.
std::size_t DecodeSchedule::literal_limit(std::size_t t) const {
  return heavy_ == 0 ? recent_ : recent_ + t / period();
}

// It lets `period` steps pass between two choices, so they are period + 1 apart, the first so many
// steps after the pool first was over its limit: t > beta2 + t / period.
bool DecodeSchedule::literal_due(std::size_t t) const {
  const std::size_t p = period();
  if (p == 1) return false;  // the limit grows with every step
  const std::size_t over = recent_ * p / (p - 1) + 1;
  return t >= over + p && (t - over - p) % (p + 1) == 0;
}

std::size_t DecodeSchedule::pool_limit(std::size_t t) const {
  switch (kind_) {
    case Kind::kKeep:
      return t;
    case Kind::kSlide:
      return heavy_ + recent_;
    case Kind::kAdaptive:
    case Kind::kDiscontinuous:
      return literal_ ? literal_limit(t) : recent_ + grown(t);
  }
  return t;
}

bool DecodeSchedule::due(std::size_t t) const {
  if (kind_ == Kind::kKeep || t <= recent_) return false;
  if (kind_ != Kind::kDiscontinuous || heavy_ == 0) return true;
  if (literal_) return literal_due(t);
  // Where the limit grows: exactly beta1 steps, (T - beta2) / beta1 apart, also where that is no
  // whole number.
  return t > steps_ || grown(t) > grown(t - 1);
}

template <class Each>
void DecodeSchedule::each_step(std::size_t steps, Each each) const {
  std::size_t rows = 0;
  for (std::size_t t = 1; t <= steps; ++t) {
    const std::size_t appended = rows + 1;
    rows = due(t) ? std::min(appended, pool_limit(t)) : appended;
    each(appended, rows);
  }
}

std::size_t DecodeSchedule::rows_after(std::size_t t) const {
  std::size_t after = 0;
  each_step(t, [&](std::size_t, std::size_t rows) { after = rows; });
  return after;
}

std::size_t DecodeSchedule::peak_rows() const {
  std::size_t peak = 0;
  each_step(steps_, [&](std::size_t appended, std::size_t) { peak = std::max(peak, appended); });
  return peak;
}

}  // namespace varve
