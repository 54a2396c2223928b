// The attention that the last queries pay: SnapKV (arXiv 2404.14469), and with one query and one
// choice for all heads TOVA (arXiv 2401.06104).
#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "common/error.h"
#include "worker/policy/scorer.h"

namespace varve {
namespace {

// Rows at the end of the region that are themselves in the window.
std::size_t rows_in_window(const LayerRows& rows, std::int32_t oldest) {
  std::size_t count = 0;
  for (auto segment = rows.segments.rbegin(); segment != rows.segments.rend(); ++segment) {
    const std::span<const std::int32_t> held = segment->positions_of(0);
    std::vector<std::int32_t> positions(held.size());
    rows.ops.download(positions.data(), held.data(), held.size_bytes());
    const auto first = std::lower_bound(positions.begin(), positions.end(), oldest);
    count += static_cast<std::size_t>(positions.end() - first);
    if (first != positions.begin()) break;
  }
  return count;
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
    const std::int32_t oldest = rows.observed->last_queries(window_).front().positions.front();
    const std::size_t inside = rows_in_window(rows, oldest);
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
  static void share_between_heads(Matrix scores) {
    for (std::size_t i = 0; i < scores.cols; ++i) {
      double sum = 0;
      for (std::size_t h = 0; h < scores.rows; ++h) sum += double{scores.row(h)[i]};
      const auto mean = static_cast<float>(sum / static_cast<double>(scores.rows));
      for (std::size_t h = 0; h < scores.rows; ++h) scores.row(h)[i] = mean;
    }
  }

  std::size_t window_;
  std::size_t kernel_;
  bool takes_maximum_;
  bool all_heads_;
};

}  // namespace

void window_attention(const LayerRows& rows, std::size_t count, Matrix attention) {
  const std::size_t n = rows.rows();
  VARVE_CHECK(rows.observed != nullptr && attention.cols == n, "attention of {} rows for {}",
              attention.cols, n);
  const std::vector<Observed::Queries> queries = rows.observed->last_queries(count);
  VARVE_CHECK(!queries.empty(), "no query was observed, {} are wanted", count);
  std::fill_n(attention.data, attention.rows * attention.stride, 0.0F);
  const std::size_t bytes = attention.rows * n * sizeof(float);
  const Buffer work = rows.ops.allocate(bytes);
  rows.ops.upload(work.data(), attention.data, bytes);
  const Matrix mass{work.as<float>(), attention.rows, n, n};
  std::size_t seen = 0;
  for (const Observed::Queries& piece : queries) {
    seen += piece.q.rows;
    std::size_t before = 0;
    for (const SegmentView& segment : rows.segments) {
      const Matrix part{mass.data + before, mass.rows, segment.most_rows(), mass.stride};
      rows.ops.add_mass(piece.q, piece.positions, {0, piece.q.rows, segment}, rows.params,
                        piece.lse, part);
      before += segment.most_rows();
    }
  }
  rows.ops.download(attention.data, work.data(), bytes);
  // Key heads hold the sums of their query heads.
  const std::size_t sums = seen * rows.params.q_heads / attention.rows;
  for (std::size_t i = 0; i < attention.rows * n; ++i) {
    attention.data[i] /= static_cast<float>(sums);
  }
}

std::unique_ptr<Scorer> make_window_scorer(const PolicyConfig& policy) {
  return std::make_unique<WindowScorer>(policy.scorer);
}

}  // namespace varve
