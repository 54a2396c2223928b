#include "tests/support/near.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>

namespace varve::test {
namespace {

testing::AssertionResult same_shape(const ConstMatrix& got, const ConstMatrix& want) {
  if (got.rows == want.rows && got.cols == want.cols) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << fmt::format("{} x {} instead of {} x {}", got.rows, got.cols, want.rows, want.cols);
}

// How many times the bound the error is; at most 1 is fine.
double excess(float got, float want, double bound) {
  if (std::isnan(got) || std::isnan(want)) {
    return std::isnan(got) && std::isnan(want) ? 0 : std::numeric_limits<double>::infinity();
  }
  if (got == want) return 0;
  const double error = std::abs(double{got} - double{want});
  return bound > 0 ? error / bound : std::numeric_limits<double>::infinity();
}

}  // namespace

testing::AssertionResult near(const ConstMatrix& got, const ConstMatrix& want,
                              const std::function<double(std::size_t, std::size_t)>& bound) {
  if (auto shape = same_shape(got, want); !shape) return shape;
  double worst = 1;
  std::size_t bad = 0;
  std::string text;
  for (std::size_t r = 0; r < got.rows; ++r) {
    for (std::size_t c = 0; c < got.cols; ++c) {
      const float a = got.row(r)[c];
      const float b = want.row(r)[c];
      const double factor = excess(a, b, bound(r, c));
      if (!(factor > 1)) continue;
      ++bad;
      if (factor <= worst) continue;
      worst = factor;
      text = fmt::format("worst at ({}, {}): {} instead of {}, {:.3g} times the bound {:.3g}", r, c,
                         a, b, factor, bound(r, c));
    }
  }
  if (bad == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << fmt::format("{} of {} elements; {}", bad, got.rows * got.cols, text);
}

testing::AssertionResult same_bits(const ConstMatrix& got, const ConstMatrix& want) {
  if (auto shape = same_shape(got, want); !shape) return shape;
  for (std::size_t r = 0; r < got.rows; ++r) {
    for (std::size_t c = 0; c < got.cols; ++c) {
      const auto a = std::bit_cast<std::uint32_t>(got.row(r)[c]);
      const auto b = std::bit_cast<std::uint32_t>(want.row(r)[c]);
      if (a == b) continue;
      return testing::AssertionFailure() << fmt::format("at ({}, {}): {} ({:08x}), not {} ({:08x})",
                                                        r, c, got.row(r)[c], a, want.row(r)[c], b);
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace varve::test
