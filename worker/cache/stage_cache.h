// All sequences' caches of one stage. A sequence is, per layer, a list of sealed segments that it
// shares with the sequence it was forked from, and one open segment of its own.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "common/plan/footprint.h"
#include "common/wire/step.h"
#include "worker/cache/segment.h"

namespace varve {

class StageCache {
 public:
  /// `model` and `ops` must outlive this.
  StageCache(const ModelConfig& model, LayerRange layers, DType dtype, Ops& ops);

  /// A new sequence with room for `capacity` rows of its own. With a parent, it shares what the
  /// parent holds, which is sealed by that: the parent takes no more rows.
  void open(std::uint32_t sequence, std::uint32_t parent, std::size_t capacity);
  /// Frees the sequence's own rows; those that others share stay until the last of them goes.
  void release(std::uint32_t sequence);

  /// Appends the step's k, v [T, Hkv * D] of one layer to their sequences, then leaves in `out` the
  /// attention of q [T, Hq * D] over each row's sequence: its segments folded from the oldest to
  /// its own, always in this order. `positions` [T].
  void attend(std::size_t layer, std::span<const SequenceRows> rows,
              std::span<const std::int32_t> positions, ConstMatrix q, ConstMatrix k, ConstMatrix v,
              const AttendParams& params, Partial out);

  const Ledger& ledger() const { return ledger_; }
  std::size_t sequences() const { return sequences_.size(); }

 private:
  struct LayerCache {
    std::vector<std::shared_ptr<const Segment>> shared;  // sealed, oldest first
    std::shared_ptr<Segment> own;                        // open; null where capacity is 0
  };
  struct Sequence {
    std::vector<LayerCache> layers;  // [local layers]
  };

  Sequence& find(std::uint32_t sequence);
  void append(LayerCache& cache, const SequenceRows& rows, std::size_t at,
              std::span<const std::int32_t> positions, ConstMatrix k, ConstMatrix v);
  void collect_items(std::size_t local, std::span<const SequenceRows> rows);

  const ModelConfig& model_;
  LayerRange layers_;
  DType dtype_;
  Ops& ops_;
  Ledger ledger_;
  std::map<std::uint32_t, Sequence> sequences_;
  std::vector<AttendItem> items_;  // reused from layer to layer
};

}  // namespace varve
