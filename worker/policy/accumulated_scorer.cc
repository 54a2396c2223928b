// The attention that all queries so far paid: H2O (arXiv 2306.14048). Early rows have been seen by
// more queries; `normalise: visible` divides by how many.
#include <algorithm>
#include <vector>

#include "common/error.h"
#include "worker/policy/scorer.h"

namespace varve {
namespace {

// A row at position p has been seen by the queries at p to `newest`, or those within the window.
void divide_by_visibility(const LayerRows& rows, std::size_t head, float* scores) {
  std::vector<std::int32_t> positions;
  std::size_t at = 0;
  for (const SegmentView& segment : rows.segments) {
    const std::span<const std::int32_t> held = segment.positions_of(head);
    positions.resize(held.size());
    rows.ops.download(positions.data(), held.data(), held.size_bytes());
    for (const std::int32_t p : positions) {
      auto queries = static_cast<std::size_t>(rows.observed->newest() - p + 1);
      if (rows.params.window) queries = std::min(queries, *rows.params.window);
      scores[at++] /= static_cast<float>(queries);
    }
  }
}

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
      if (normalises_) divide_by_visibility(rows, h, scores.row(h));
    }
  }

 private:
  bool normalises_;
};

}  // namespace

std::unique_ptr<Scorer> make_accumulated_scorer(const PolicyConfig& policy) {
  return std::make_unique<AccumulatedScorer>(policy.scorer);
}

}  // namespace varve
