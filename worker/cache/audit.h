// Gathers what a run that is audited tells of one stage's cache. It only looks: answers are the
// same bits with it and without. Its memory is the host's and in no plan.
#pragma once

#include <chrono>
#include <map>
#include <span>
#include <vector>

#include "common/plan/audit.h"
#include "common/plan/footprint.h"
#include "kernels/ops.h"
#include "worker/cache/memory_line.h"
#include "worker/policy/observed.h"

namespace varve {

/// A layer of the model, as one sequence sees it.
struct AuditPlace {
  std::uint32_t sequence = 0;
  std::size_t layer = 0;
  std::size_t document_rows = 0;            // rows at positions below are the document's
  std::span<const SegmentView> segments{};  // all that the sequence holds in that layer
};

class Audit {
 public:
  /// `model` and `ops` must outlive this.
  Audit(const ModelConfig& model, LayerRange layers, const AuditOrders& orders, Ops& ops);

  /// After its attention: a row whose logits give a token of the answer.
  void attended(const AuditPlace& place, const ObservedRows& row, const AttendParams& params);
  /// No more rows of the document will be dropped from this layer. Once for each place.
  void kept(const AuditPlace& place);
  /// A step is over; `bytes`: the most held since the last.
  void step_done(std::size_t bytes);

  /// Sequences and layers ascend.
  AuditReport report() const;

 private:
  void add_mass(const AuditPlace& place, const SegmentView& segment, const ObservedRows& row,
                const AttendParams& params);
  std::span<const std::int32_t> fetch_positions(const SegmentView& segment, std::size_t head);

  const ModelConfig& model_;
  LayerRange layers_;
  AuditOrders orders_;
  Ops& ops_;
  std::map<std::pair<std::uint32_t, std::size_t>, KeptMap> maps_;  // by sequence and layer
  std::map<std::uint32_t, KeptSpans> kept_;                        // by sequence
  std::map<std::uint32_t, Attended> attended_;                     // by sequence
  MemoryLine memory_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();

  // Reused from row to row.
  Buffer work_;
  std::vector<float> mass_;              // [Hkv, rows of a segment]
  std::vector<std::int32_t> positions_;  // of one head
  std::vector<double> sums_;             // [spans]
};

}  // namespace varve
