#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "worker/policy/guided.h"

namespace varve {
namespace {

constexpr double kFixedOne = static_cast<double>(std::int64_t{1} << 36U);

// The answer to a question stands right behind the words that the question attends to, so a row's
// score spreads to those that stood next to it in the text.
class GuidedScorer final : public Scorer {
 public:
  explicit GuidedScorer(const Component& c) : kernel_(c.count("kernel")) {}

  void score(const LayerRows& rows, Matrix scores) const override {
    VARVE_CHECK(rows.probed.rows == scores.rows && rows.probed.cols == scores.cols,
                "probed [{}, {}], wanted [{}, {}]", rows.probed.rows, rows.probed.cols, scores.rows,
                scores.cols);
    VARVE_CHECK(rows.segments.size() == 1, "{} segments of a stream", rows.segments.size());
    std::vector<std::int32_t> positions(scores.cols);
    for (std::size_t h = 0; h < scores.rows; ++h) {
      std::copy_n(rows.probed.row(h), scores.cols, scores.row(h));
      const auto held = rows.segments.front().positions_of(h);
      rows.ops.download(positions.data(), held.data(), held.size_bytes());
      pool_max_near({scores.row(h), scores.cols}, positions, kernel_);
    }
  }

 private:
  std::size_t kernel_;
};

}  // namespace

void add_probe(Ops& ops, const AttendParams& params, const ObservedRows& probe,
               const SegmentView& segment, bool sum_over_tokens, Matrix scores) {
  const std::size_t heads = params.q_heads;
  const std::size_t n = segment.most_rows();
  const std::size_t bytes = heads * n * sizeof(float);
  const Buffer work = ops.allocate(bytes);
  std::vector<float> best(heads * n);
  ops.upload(work.data(), best.data(), bytes);
  AttendParams fold = params;
  fold.mass = sum_over_tokens ? MassFold::kSum : MassFold::kMax;
  ops.add_mass(probe.q, probe.positions, {0, probe.q.rows, segment}, fold, probe.lse,
               {work.as<float>(), heads, n, n});
  ops.download(best.data(), work.data(), bytes);
  const std::size_t group = heads / scores.rows;
  for (std::size_t head = 0; head < scores.rows; ++head) {
    for (std::size_t i = 0; i < n; ++i) {
      float sum = 0;
      for (std::size_t g = 0; g < group; ++g) sum += best[(head * group + g) * n + i];
      float& score = scores.row(head)[i];
      score = std::max(score, sum);
    }
  }
}

std::int64_t to_fixed(float score) {
  return std::llround(double{score} * kFixedOne);
}

float from_fixed(std::int64_t sum) {
  return static_cast<float>(static_cast<double>(sum) / kFixedOne);
}

void add_fixed(std::span<const float> scores, std::span<std::int64_t> sums) {
  for (std::size_t i = 0; i < scores.size(); ++i) sums[i % sums.size()] += to_fixed(scores[i]);
}

std::vector<float> from_fixed(std::span<const std::int64_t> sums) {
  std::vector<float> scores;
  for (const std::int64_t sum : sums) scores.push_back(from_fixed(sum));
  return scores;
}

KeptRows best_pooled(PlacedScores rows, std::size_t candidates, const Keep& keep,
                     std::size_t kernel) {
  const std::size_t cols = rows.columns();
  const std::span<const std::int32_t> positions(rows.positions);
  VARVE_CHECK(positions.size() % cols == 0, "{} positions of {} rows", positions.size(), cols);
  for (std::size_t h = 0; h < rows.heads; ++h) {
    const std::size_t at = h * cols % positions.size();
    pool_max_near({rows.scores.data() + h * cols, cols}, positions.subspan(at, cols), kernel);
  }
  return select_rows(make_component("uniform"), {rows.scores.data(), rows.heads, candidates, cols},
                     keep);
}

std::unique_ptr<Scorer> make_guided_scorer(const PolicyConfig& policy) {
  return std::make_unique<GuidedScorer>(policy.scorer);
}

}  // namespace varve
