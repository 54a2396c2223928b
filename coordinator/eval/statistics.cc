#include "coordinator/eval/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "common/error.h"

namespace varve {
namespace {

constexpr double kZ = 1.959963984540054;  // 97.5 % of the normal distribution lie below

// Variance of a share over documents of unequal size, by linearization (Cochran 1977, 6.4).
double ratio_variance(std::span<const Trials> documents, double share, double asked) {
  const auto n = static_cast<double>(documents.size());
  double squares = 0;
  for (const Trials& d : documents) {
    const double off = static_cast<double>(d.right) - share * static_cast<double>(d.asked);
    squares += off * off;
  }
  return n / (n - 1) * squares / (asked * asked);
}

}  // namespace

Estimate wilson(double share, double trials) {
  VARVE_CHECK(share >= 0 && share <= 1 && trials >= 0, "share {} of {} trials", share, trials);
  if (trials == 0) return {share, 0, 1};
  const double z2 = kZ * kZ / trials;
  const double middle = (share + z2 / 2) / (1 + z2);
  const double half = kZ / (1 + z2) * std::sqrt(share * (1 - share) / trials + z2 / (4 * trials));
  return {share, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Estimate share_right(std::span<const Trials> documents) {
  double right = 0;
  double asked = 0;
  bool alone = true;
  for (const Trials& d : documents) {
    right += static_cast<double>(d.right);
    asked += static_cast<double>(d.asked);
    alone = alone && d.asked <= 1;
  }
  if (asked == 0) return wilson(0, 0);
  const double share = right / asked;
  const double binomial = share * (1 - share) / asked;
  double effect = 1;
  if (!alone && documents.size() > 1 && binomial > 0) {
    effect = std::max(1.0, ratio_variance(documents, share, asked) / binomial);
  }
  return wilson(share, asked / effect);
}

Estimate mean_of(std::span<const double> values) {
  VARVE_CHECK(!values.empty(), "a mean of {} values", values.size());
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  const double infinity = std::numeric_limits<double>::infinity();
  if (values.size() == 1) return {mean, -infinity, infinity};
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const boost::math::students_t distribution(n - 1);
  const double half = boost::math::quantile(distribution, 0.975) * std::sqrt(squares / (n - 1) / n);
  return {mean, mean - half, mean + half};
}

}  // namespace varve
