// The attention that the last queries pay: SnapKV (arXiv 2404.14469), and with one query and one
// choice for all heads TOVA (arXiv 2401.06104).
#include <algorithm>
#include <limits>
#include <vector>

#include "common/error.h"
#include "worker/policy/scorer.h"
#include "worker/policy/window_attention.h"

namespace varve {
namespace {

// How many rows at the end of the region stand at `oldest` or later, of queries up to `newest`.
std::size_t rows_from(const LayerRows& rows, std::int32_t oldest, std::int32_t newest) {
  const auto most = static_cast<std::size_t>(newest - oldest) + 1;
  std::size_t count = 0;
  std::vector<std::int32_t> positions;
  for (auto segment = rows.segments.rbegin(); segment != rows.segments.rend(); ++segment) {
    const std::span<const std::int32_t> held = segment->positions_of(0);
    const std::span<const std::int32_t> tail = held.last(std::min(held.size(), most));
    positions.resize(tail.size());
    rows.ops.download(positions.data(), tail.data(), tail.size_bytes());
    const auto first = std::lower_bound(positions.begin(), positions.end(), oldest);
    count += static_cast<std::size_t>(positions.end() - first);
    if (first != positions.begin()) break;
  }
  return count;
}

void share_between_heads(Matrix scores) {
  for (std::size_t i = 0; i < scores.cols; ++i) {
    double sum = 0;
    for (std::size_t h = 0; h < scores.rows; ++h) sum += double{scores.row(h)[i]};
    const auto mean = static_cast<float>(sum / static_cast<double>(scores.rows));
    for (std::size_t h = 0; h < scores.rows; ++h) scores.row(h)[i] = mean;
  }
}

class WindowScorer final : public Scorer {
 public:
  explicit WindowScorer(const Component& c)
      : window_(c.count("window")),
        kernel_(c.count("kernel")),
        takes_maximum_(c.choice("pool") == "max"),
        all_heads_(c.choice("heads") == "all") {}

  void score(const LayerRows& rows, Matrix scores) const override {
    window_attention(rows, window_, scores);
    if (all_heads_) share_between_heads(scores);
    const std::vector<Observed::Queries> queries = rows.observed->last_queries(window_);
    const std::size_t inside =
        rows_from(rows, queries.front().positions.front(), queries.back().positions.back());
    for (std::size_t h = 0; h < scores.rows; ++h) {
      const std::span<float> row(scores.row(h), scores.cols);
      // What the window's rows receive is no measure of them: fewer queries see each. They stay.
      const std::span<float> before = row.first(row.size() - inside);
      if (takes_maximum_) {
        pool_max(before, kernel_);
      } else {
        pool_mean(before, kernel_);
      }
      std::fill(row.end() - static_cast<std::ptrdiff_t>(inside), row.end(),
                std::numeric_limits<float>::infinity());
    }
  }

 private:
  std::size_t window_;
  std::size_t kernel_;
  bool takes_maximum_;
  bool all_heads_;
};

}  // namespace

std::unique_ptr<Scorer> make_window_scorer(const PolicyConfig& policy) {
  return std::make_unique<WindowScorer>(policy.scorer);
}

}  // namespace varve
