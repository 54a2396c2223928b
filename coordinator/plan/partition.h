// Cutting a run of layers into stages: exact, by dynamic programming over the cut points. Knows
// prices only, neither model nor job.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "common/plan/footprint.h"

namespace varve {

/// What a stage of these layers costs.
struct StagePrice {
  double seconds = 0;  // of work in the whole job
  std::size_t bytes = 0;
};
using StagePricer = std::function<StagePrice(LayerRange)>;

/// Every price asked for once: ranges of `layers` layers.
class PriceTable {
 public:
  PriceTable(std::size_t layers, const StagePricer& price);

  std::size_t layers() const { return layers_; }
  const StagePrice& at(LayerRange range) const {
    return prices_[range.begin * layers_ + range.end - 1];
  }

 private:
  std::size_t layers_;
  std::vector<StagePrice> prices_;  // [begin][end - 1]
};

/// The cut whose slowest stage is fastest, none over `limit` bytes. Among those (within a relative
/// 1e-9) the one whose largest stage holds the fewest bytes, then the one with the most even times.
/// Nothing if no cut keeps the limit. `ranks` from 1 to the number of layers.
std::optional<std::vector<LayerRange>> fastest_cut(const PriceTable& prices, std::size_t ranks,
                                                   std::optional<std::size_t> limit);

/// The cut whose largest stage holds the fewest bytes: if it does not fit, none does.
std::vector<LayerRange> leanest_cut(const PriceTable& prices, std::size_t ranks);

/// Bytes of the largest stage of a cut.
std::size_t largest_bytes(const PriceTable& prices, const std::vector<LayerRange>& cut);

}  // namespace varve
