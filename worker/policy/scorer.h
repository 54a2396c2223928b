// Which rows of a layer matter: the scorer slot of a cache policy. A scorer is one file and one
// line of the table in scorer.cc; it computes, the selection decides.
#pragma once

#include <memory>
#include <span>

#include "common/policy/policy_config.h"
#include "kernels/ops.h"
#include "worker/policy/observed.h"

namespace varve {

/// What a scorer may look at: some segments of one layer of one sequence, oldest first, heads of
/// equally many rows, keys as they are attended.
struct LayerRows {
  Ops& ops;
  const ModelConfig& model;
  AttendParams params;
  std::span<const SegmentView> segments;
  const Observed* observed = nullptr;  // what needs_of(scorer) asks for; null where that is nothing
  std::size_t next_position = 0;       // that the next query will be rotated by
  std::span<const float> inv_freq{};   // [rope_dims / 2]
  ConstMatrix probed{};                // [Hkv, rows()], host: what probes paid; of guided alone

  std::size_t rows() const {
    std::size_t rows = 0;
    for (const SegmentView& segment : segments) rows += segment.most_rows();
    return rows;
  }
};

class Scorer {
 public:
  virtual ~Scorer() = default;
  /// scores [Hkv, rows.rows()], host floats: larger is to be kept first.
  virtual void score(const LayerRows& rows, Matrix scores) const = 0;
};

/// Of the policy's scorer slot, which is not `none`.
std::unique_ptr<Scorer> make_scorer(const PolicyConfig& policy);

/// Each element becomes the mean or the maximum of the `size` (odd) around it. What lies outside
/// counts as 0 in the mean, not at all in the maximum. O(n).
void pool_mean(std::span<float> scores, std::size_t size);
void pool_max(std::span<float> scores, std::size_t size);
/// The same for rows that are left of a text, at ascending `positions` in it: the maximum of those
/// that stand no further than size / 2 away. What became a neighbour because the rows between were
/// dropped is none. O(n).
void pool_max_near(std::span<float> scores, std::span<const std::int32_t> positions,
                   std::size_t size);

// The scorers of the table.
std::unique_ptr<Scorer> make_position_scorer(const PolicyConfig& policy);
std::unique_ptr<Scorer> make_window_scorer(const PolicyConfig& policy);
std::unique_ptr<Scorer> make_accumulated_scorer(const PolicyConfig& policy);
std::unique_ptr<Scorer> make_key_norm_scorer(const PolicyConfig& policy);
std::unique_ptr<Scorer> make_key_difference_scorer(const PolicyConfig& policy);
std::unique_ptr<Scorer> make_expected_attention_scorer(const PolicyConfig& policy);
std::unique_ptr<Scorer> make_guided_scorer(const PolicyConfig& policy);

}  // namespace varve
