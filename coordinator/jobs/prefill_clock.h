// When the prefill will be over. A row attends to all rows before it, so a chunk takes longer the
// deeper it stands: x rows from n - x to n take a x + b (n^2 - (n - x)^2). a and b are fitted to
// the chunks so far.
#pragma once

#include <cstddef>
#include <optional>

namespace varve {

class PrefillClock {
 public:
  /// Rows of which nothing is known, before the first that are added.
  void skip(std::size_t rows) { rows_ = static_cast<double>(rows); }
  /// `rows` have been done `seconds` after the start; both only grow.
  void add(std::size_t rows, double seconds);

  /// Seconds for rows up to `total`; nothing before the first chunk is done.
  std::optional<double> remaining(std::size_t total) const;

 private:
  struct Sums {
    double xx = 0, xy = 0, yy = 0, xt = 0, yt = 0;
    void add(double x, double y, double t);
  };

  Sums all_;
  Sums settled_;  // without the first chunk, which also pays for reading the weights from disk
  std::size_t chunks_ = 0;
  double rows_ = 0;
  double seconds_ = 0;
};

}  // namespace varve
