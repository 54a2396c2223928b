// A segment of rows: one layer's keys, values and positions in one buffer of exact size. Open, it
// takes rows up to its capacity; sealed, it never changes and may be shared by many sequences.
#pragma once

#include <span>
#include <vector>

#include "common/model/model_config.h"
#include "kernels/ops.h"
#include "worker/cache/ledger.h"

namespace varve {

class Segment {
 public:
  /// Allocates common/plan's segment_bytes(model, capacity, dtype) and enters them in the ledger,
  /// which must outlive this.
  Segment(const ModelConfig& model, std::size_t capacity, DType dtype, Ops& ops, Ledger& ledger);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  /// k, v [T, Hkv * D], k after RoPE; positions ascend from the last one held. A sealed segment, or
  /// more rows than there is room for, is a bug.
  void append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions);
  void seal() { sealed_ = true; }

  /// Refers to this segment: a view taken earlier shows rows that were appended later.
  SegmentView view() const { return store_.view(); }
  std::size_t rows() const { return rows_; }
  std::size_t capacity() const { return capacity_; }
  bool sealed() const { return sealed_; }

 private:
  Ops& ops_;
  Ledger& ledger_;
  Buffer buffer_;  // keys [Hkv, capacity, D], values [Hkv, capacity, D], positions [capacity]
  std::vector<HeadRows> heads_;  // [Hkv], which views refer to
  SegmentStore store_;           // into buffer_
  std::size_t capacity_;
  std::size_t rows_ = 0;
  bool sealed_ = false;
};

}  // namespace varve
