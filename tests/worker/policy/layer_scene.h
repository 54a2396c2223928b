// A scene for tests of scorers: one layer of a made-up model that has read a made-up text, and the
// same in double for formulas that are written out in the tests.
#pragma once

#include <memory>
#include <vector>

#include "tests/kernels/fixtures.h"
#include "worker/policy/scorer.h"

namespace varve::test {

struct SceneShape {
  std::size_t rows = 150;
  std::size_t kv_heads = 2;
  std::size_t group = 3;
  std::size_t head_dim = 32;
  std::size_t rope_dims = 32;
  RopeLayout layout = RopeLayout::kHalves;
  DType dtype = DType::kF32;
  std::optional<std::size_t> window{};  // of the model's attention
  bool swapped = false;                 // the first two key heads, with their query heads
};

class LayerScene {
 public:
  LayerScene(Ops& ops, const SceneShape& shape, std::uint64_t seed = 1);

  /// Makes the key of a row, in every head, `length` times the newest query of the head's group.
  void plant(std::size_t row, float length);

  /// What attention yields, read in steps of `chunk` rows while the rows lie in segments that begin
  /// at `cuts` (ascending, none at 0).
  Observed observe(const ObservedNeeds& needs, std::size_t skip, std::size_t chunk,
                   const std::vector<std::size_t>& cuts = {}) const;
  /// The scores [Hkv, rows] of a policy's scorer.
  Rows scores(const PolicyConfig& policy, std::size_t chunk = 64,
              const std::vector<std::size_t>& cuts = {}) const;
  /// What a scorer may look at; `segments` and `observed` must outlive it.
  LayerRows layer_rows(std::span<const SegmentView> segments, const Observed* observed) const;
  /// The first `rows` rows, cut into segments.
  std::vector<SegmentView> segments(std::size_t rows, const std::vector<std::size_t>& cuts) const;

  AttendParams params() const;
  std::size_t rows() const { return shape_.rows; }
  std::size_t q_heads() const { return shape_.kv_heads * shape_.group; }
  /// Softmax over what query i sees, of query head h: what row j gets.
  double probability(std::size_t head, std::size_t i, std::size_t j) const;
  bool sees(std::size_t i, std::size_t j) const;
  /// Key and value of a row, as they were stored, in double.
  const double* key(std::size_t kv_head, std::size_t row) const;
  const double* value(std::size_t kv_head, std::size_t row) const;
  /// Before its rotation.
  const float* plain_query(std::size_t head, std::size_t row) const;
  const ModelConfig& model() const { return model_; }
  std::span<const float> inv_freq() const { return inv_freq_; }
  ConstMatrix queries() const { return q_.view(); }
  ConstMatrix lse() const { return lse_.view(); }
  /// How far a float32 probability of this scene is from the one in double, relative to it.
  double tolerance() const { return tolerance_; }

 private:
  void store();
  double dot(std::size_t head, std::size_t i, std::size_t j) const;

  Ops& ops_;
  SceneShape shape_;
  ModelConfig model_;
  std::vector<float> inv_freq_;
  std::vector<std::int32_t> positions_;
  Rows plain_q_, q_, k_, v_;
  mutable Rows back_;
  mutable Rows lse_;
  CachedRows cache_;
  std::vector<double> keys_, values_;  // [Hkv, rows, D]
  std::vector<double> lse_exact_;      // [rows, Hq]
  double tolerance_ = 0;
};

/// A policy with that scorer.
PolicyConfig policy_with(const Component& scorer, std::uint32_t keep_first = 0);

}  // namespace varve::test
