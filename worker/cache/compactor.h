// Compaction of one layer, plan then apply: which rows a cache policy keeps, and their copy.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/policy/policy_config.h"
#include "worker/cache/segment.h"
#include "worker/policy/scorer.h"
#include "worker/policy/selection.h"

namespace varve {

/// A cache policy ready to act.
struct CachePolicy {
  explicit CachePolicy(PolicyConfig policy);

  PolicyConfig config;
  std::unique_ptr<Scorer> scorer;  // of the document's rows; null: keeps them all
  PolicyConfig pool;               // how rows of an answer are chosen (SCOPE)
  std::unique_ptr<Scorer> pool_scorer;
};

class Compactor {
 public:
  /// All must outlive this.
  Compactor(const ModelConfig& model, Ops& ops, Ledger& ledger);

  /// The kept set of a region, the rows of `rows.segments` counted through from the oldest. A
  /// region within the budget is kept whole.
  KeptRows choose(const Scorer& scorer, const Component& allocation, const LayerRows& rows,
                  const Keep& keep);
  /// Called with a part of the kept rows as floats, before it is sealed or encoded: which rows of
  /// the region they are, and how many kept rows of each head come before.
  using Turn = std::function<void(Segment& floats, const KeptRows& part, std::size_t before)>;
  /// Copies of the kept rows in exact-sized, sealed segments: what the policy stores in few bits,
  /// then what stays float. `from` holds floats of one type.
  std::vector<std::shared_ptr<const Segment>> copy(std::span<const SegmentView> from,
                                                   const KeptRows& kept, const PolicyConfig& policy,
                                                   const Turn& turn);
  /// Appends the kept rows to an open segment of the same float type.
  void gather(std::span<const SegmentView> from, const KeptRows& kept, Segment& into);

 private:
  std::shared_ptr<Segment> make_segment(const KeptRows& kept, DType dtype);
  std::shared_ptr<Segment> copy_floats(std::span<const SegmentView> from, const KeptRows& part,
                                       std::size_t before, const Turn& turn);

  const ModelConfig& model_;
  Ops& ops_;
  Ledger& ledger_;
  std::vector<float> scores_;          // [Hkv, rows of the region]
  std::vector<std::uint32_t> in_one_;  // kept rows of one segment
};

/// Every row of a region.
KeptRows all_rows(std::span<const SegmentView> region);

}  // namespace varve
