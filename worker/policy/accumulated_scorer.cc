// The attention that all queries so far paid: H2O (arXiv 2306.14048). Early rows have been seen by
// more queries; `normalise: visible` divides by how many.
#include <vector>

#include "common/error.h"
#include "worker/policy/scorer.h"

namespace varve {
namespace {

class AccumulatedScorer final : public Scorer {
 public:
  explicit AccumulatedScorer(const Component& c)
      : normalises_(c.choice("normalise") == "visible") {}

  void score(const LayerRows& rows, Matrix scores) const override {
    VARVE_CHECK(rows.observed != nullptr, "no mass was observed");
    const ConstMatrix mass = rows.observed->mass();
    VARVE_CHECK(scores.cols <= mass.cols, "{} rows, mass of {}", scores.cols, mass.cols);
    const auto group = static_cast<float>(rows.params.q_heads / scores.rows);
    for (std::size_t h = 0; h < scores.rows; ++h) {
      rows.ops.download(scores.row(h), mass.row(h), scores.cols * sizeof(float));
      for (std::size_t i = 0; i < scores.cols; ++i) scores.row(h)[i] /= group;
      if (normalises_) normalise(rows, h, scores.row(h));
    }
  }

 private:
  static void normalise(const LayerRows& rows, std::size_t head, float* scores) {
    std::vector<std::int32_t> positions;
    std::size_t at = 0;
    for (const SegmentView& segment : rows.segments) {
      const std::span<const std::int32_t> held = segment.positions_of(head);
      positions.resize(held.size());
      rows.ops.download(positions.data(), held.data(), held.size_bytes());
      for (const std::int32_t p : positions) {
        scores[at++] /= static_cast<float>(rows.observed->newest() - p + 1);
      }
    }
  }

  bool normalises_;
};

}  // namespace

std::unique_ptr<Scorer> make_accumulated_scorer(const PolicyConfig& policy) {
  return std::make_unique<AccumulatedScorer>(policy.scorer);
}

}  // namespace varve
