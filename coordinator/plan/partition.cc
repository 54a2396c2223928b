#include "coordinator/plan/partition.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/error.h"

namespace varve {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
// Equal stages are priced by sums in different orders; the last bits must not decide.
constexpr double kEqual = 1e-9;

struct Cut {
  double value = kNever;
  std::vector<LayerRange> stages;
};

// The cut with the smallest join of its stages' values. `value(range)` is kNever where the range
// may not be a stage; `join` never decreases with either argument. A value must be smaller by the
// share `margin` to displace one found earlier.
template <class Value, class Join>
Cut smallest(std::size_t layers, std::size_t ranks, const Value& value, const Join& join,
             double margin = 0) {
  VARVE_CHECK(ranks >= 1 && ranks <= layers, "{} ranks for {} layers", ranks, layers);
  // [stages - 1][end]: the best way to cut layers 0..end, and where its last stage begins.
  std::vector<std::vector<double>> best(ranks, std::vector<double>(layers + 1, kNever));
  std::vector<std::vector<std::size_t>> from(ranks, std::vector<std::size_t>(layers + 1, 0));
  for (std::size_t end = 1; end <= layers; ++end) best[0][end] = value(LayerRange{0, end});
  for (std::size_t s = 1; s < ranks; ++s) {
    for (std::size_t end = s + 1; end <= layers; ++end) {
      for (std::size_t begin = s; begin < end; ++begin) {
        const double joined = join(best[s - 1][begin], value(LayerRange{begin, end}));
        if (joined >= best[s][end] * (1 - margin)) continue;
        best[s][end] = joined;
        from[s][end] = begin;
      }
    }
  }
  Cut cut{best[ranks - 1][layers], {}};
  if (cut.value == kNever) return cut;
  std::size_t end = layers;
  for (std::size_t s = ranks; s-- > 0;) {
    const std::size_t begin = s == 0 ? 0 : from[s][end];
    cut.stages.push_back({begin, end});
    end = begin;
  }
  std::reverse(cut.stages.begin(), cut.stages.end());
  return cut;
}

double larger(double a, double b) {
  return std::max(a, b);
}

}  // namespace

PriceTable::PriceTable(std::size_t layers, const StagePricer& price)
    : layers_(layers), prices_(layers * layers) {
  for (std::size_t begin = 0; begin < layers; ++begin) {
    for (std::size_t end = begin + 1; end <= layers; ++end) {
      prices_[begin * layers + end - 1] = price({begin, end});
    }
  }
}

std::optional<std::vector<LayerRange>> fastest_cut(const PriceTable& prices, std::size_t ranks,
                                                   std::optional<std::size_t> limit) {
  const auto fits = [&](const StagePrice& p) { return !limit || p.bytes <= *limit; };
  const auto seconds = [&](LayerRange r) {
    const StagePrice& p = prices.at(r);
    return fits(p) ? p.seconds : kNever;
  };
  const double slowest = smallest(prices.layers(), ranks, seconds, larger).value;
  if (slowest == kNever) return std::nullopt;

  const double time_bound = slowest * (1 + kEqual);
  const auto bytes = [&](LayerRange r) {
    const StagePrice& p = prices.at(r);
    return fits(p) && p.seconds <= time_bound ? static_cast<double>(p.bytes) : kNever;
  };
  const double byte_bound = smallest(prices.layers(), ranks, bytes, larger).value;

  const auto unevenness = [&](LayerRange r) {
    return bytes(r) <= byte_bound ? std::pow(prices.at(r).seconds, 2) : kNever;
  };
  const auto sum = [](double a, double b) { return a + b; };
  return smallest(prices.layers(), ranks, unevenness, sum, kEqual).stages;
}

std::vector<LayerRange> leanest_cut(const PriceTable& prices, std::size_t ranks) {
  const auto bytes = [&](LayerRange r) { return static_cast<double>(prices.at(r).bytes); };
  return smallest(prices.layers(), ranks, bytes, larger).stages;
}

std::size_t largest_bytes(const PriceTable& prices, const std::vector<LayerRange>& cut) {
  std::size_t most = 0;
  for (const LayerRange& r : cut) most = std::max(most, prices.at(r).bytes);
  return most;
}

}  // namespace varve
