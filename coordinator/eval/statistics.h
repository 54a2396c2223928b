// What a few dozen samples say about the rest: shares and means with their 95 % intervals.
#pragma once

#include <cstddef>
#include <span>

namespace varve {

struct Estimate {
  double value = 0;
  double low = 0;  // 95 % interval
  double high = 0;
};

/// Wilson's score interval (1927) of a share of `trials` independent trials, which need not be a
/// whole number. Everything is possible after no trial: 0 to 1.
Estimate wilson(double share, double trials);

/// Right answers of a document with several questions.
struct Trials {
  std::size_t right = 0;
  std::size_t asked = 0;
};
/// The share that was right over all documents. Answers about one document go wrong together, so
/// the interval is Wilson's for as many trials as they are worth: those asked, divided by the
/// design effect (variance of the ratio estimate, between documents, over the binomial one), which
/// is at least 1. With one question a document it is 1.
Estimate share_right(std::span<const Trials> documents);

/// Arithmetic mean with Student's t interval. Of one value the interval is infinite.
Estimate mean_of(std::span<const double> values);

}  // namespace varve
