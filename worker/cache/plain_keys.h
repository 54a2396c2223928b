// Keys at compact positions. Where rows are evicted and the rest moves up, a key's position changes
// while it is held; so it is stored as it was before its rotation ("plain"), and turned to its slot
// whenever it is attended (StreamingLLM, arXiv 2309.17453, section 3.2).
#pragma once

#include <span>
#include <vector>

#include "common/model/model_config.h"
#include "worker/cache/ledger.h"
#include "worker/cache/segment.h"
#include "worker/policy/selection.h"

namespace varve {

class PlainKeys {
 public:
  /// Work memory for steps of `rows` rows and sequences of `slots` slots, entered in the ledger:
  /// common/plan's plain_keys_bytes. All must outlive this.
  PlainKeys(const ModelConfig& model, std::span<const float> inv_freq, std::size_t rows,
            std::size_t slots, DType dtype, Ops& ops, Ledger& ledger);
  ~PlainKeys();
  PlainKeys(const PlainKeys&) = delete;
  PlainKeys& operator=(const PlainKeys&) = delete;

  /// Before a step: the positions [T] that its keys will come rotated by.
  void begin(std::span<const std::int32_t> rotations);
  /// The angles that turn the step's rows [at, at + count) back.
  ConstMatrix back(std::size_t at, std::size_t count) const { return back_.slice(at, count); }
  /// Keys k [t, Hkv * D] of the step's rows from `at` on, turned back in place.
  void turn_back(Matrix k, std::size_t at);
  /// A view of the same rows, key i of each head at slot `first` + i. Valid until the next call.
  /// The segment has room for at most `slots` rows a head.
  SegmentView turn(const SegmentView& plain, std::size_t first);
  /// Rotates a segment's keys to their slots for good, the first one to `first`.
  void settle(Segment& plain, std::size_t first);
  /// Turns keys back for good that stand rotated to slots 0, 1, ...
  void unsettle(Segment& rotated);
  /// Rotates to slots from `first` on, for good, keys that stand rotated by `from`, each head's own
  /// positions, any number of them.
  void move(Segment& rotated, const KeptRows& from, std::size_t first);

 private:
  Matrix carve(std::size_t rows, std::size_t cols);
  ConstMatrix slot_angles(std::size_t first, std::size_t rows) const;

  const ModelConfig& model_;
  std::span<const float> inv_freq_;
  std::size_t slots_;
  Ops& ops_;
  Ledger& ledger_;
  std::vector<Buffer> buffers_;
  std::size_t bytes_ = 0;
  Matrix back_;                        // [rows, rope_dims]: of the step's positions, negated
  Matrix table_;                       // [slots, rope_dims]: of slots 0, 1, ...
  SegmentStore keys_;                  // [Hkv, slots, D], no values
  std::vector<std::int32_t> negated_;  // [rows]
};

}  // namespace varve
