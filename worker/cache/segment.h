// A segment of rows: one layer's keys, values and positions in one buffer of exact size. Open, it
// takes rows up to its capacity and may lose some; sealed, it never changes and may be shared by
// many sequences.
#pragma once

#include <span>
#include <vector>

#include "common/model/model_config.h"
#include "common/plan/segment_shape.h"
#include "kernels/ops.h"
#include "worker/cache/ledger.h"
#include "worker/cache/saved_sequence.h"
#include "worker/policy/selection.h"

namespace varve {

class Segment {
 public:
  /// Allocates common/plan's segment_bytes(shape, head_dim) and enters them in the ledger, which
  /// must outlive this.
  Segment(const SegmentShape& shape, std::size_t head_dim, Ops& ops, Ledger& ledger);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  // What follows but views is for open segments; more rows than there is room for is a bug.

  /// To every head: k, v [T, Hkv * D]; positions ascend from the last one held. The heads hold
  /// equally many rows.
  void append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions);
  /// To one head: copies of rows (ascending) of that head of `from`, which holds the same floats.
  void gather(const SegmentView& from, std::size_t head, std::span<const std::uint32_t> rows);
  /// Drops all rows but these.
  void keep(const KeptRows& kept);
  /// Drops all rows.
  void clear();
  /// Fills an empty segment of an integer format with all of `floats`.
  void encode(const SegmentView& floats);
  void seal() { sealed_ = true; }

  /// Everything, to be read back into an empty segment of the same shape.
  SavedSegment save() const;
  /// PeerError if it is of another shape.
  void load(const SavedSegment& saved);

  /// Refers to this segment: a view taken earlier shows rows that were appended later.
  SegmentView view() const { return store_.view(); }
  SegmentStore store() { return store_; }
  std::size_t rows(std::size_t head) const { return heads_[head].rows; }
  /// Over all heads.
  std::size_t rows() const;
  std::size_t bytes() const { return buffer_.bytes(); }
  bool sealed() const { return sealed_; }

 private:
  void grow(std::size_t head, std::size_t count);

  Ops& ops_;
  Ledger& ledger_;
  SegmentShape shape_;
  Buffer buffer_;                // keys, values [rows of all heads, D], positions
  std::vector<HeadRows> heads_;  // [Hkv], which views refer to
  SegmentStore store_;           // into buffer_
  bool sealed_ = false;
};

}  // namespace varve
