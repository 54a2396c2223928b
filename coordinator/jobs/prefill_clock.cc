#include "coordinator/jobs/prefill_clock.h"

#include <algorithm>

namespace varve {

void PrefillClock::Sums::add(double x, double y, double t) {
  xx += x * x;
  xy += x * y;
  yy += y * y;
  xt += x * t;
  yt += y * t;
}

void PrefillClock::add(std::size_t rows, double seconds) {
  const auto now = static_cast<double>(rows);
  if (now <= rows_) return;
  const double x = now - rows_;
  const double y = now * now - rows_ * rows_;
  const double t = std::max(seconds - seconds_, 0.0);
  all_.add(x, y, t);
  if (chunks_ > 0) settled_.add(x, y, t);
  ++chunks_;
  rows_ = now;
  seconds_ = std::max(seconds, seconds_);
}

std::optional<double> PrefillClock::remaining(std::size_t total) const {
  if (chunks_ == 0) return std::nullopt;
  const Sums& s = chunks_ >= 3 ? settled_ : all_;
  double a = s.xt / s.xx;
  double b = 0;
  // Least squares. Too few chunks to tell a from b, or noise that makes one negative: that one is
  // left out.
  const double determinant = s.xx * s.yy - s.xy * s.xy;
  if (determinant > 1e-9 * s.xx * s.yy) {
    const double slope = (s.xx * s.yt - s.xy * s.xt) / determinant;
    const double base = (s.yy * s.xt - s.xy * s.yt) / determinant;
    if (base < 0) {
      a = 0;
      b = s.yt / s.yy;
    } else if (slope > 0) {
      a = base;
      b = slope;
    }
  }
  const double end = std::max(static_cast<double>(total), rows_);
  return a * (end - rows_) + b * (end * end - rows_ * rows_);
}

}  // namespace varve
