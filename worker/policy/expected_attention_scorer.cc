// Attention of queries to come, were they drawn from a normal distribution with the moments of
// those seen: Expected Attention (arXiv 2510.00636, section 3). For a query head with mean m and
// covariance C of its queries before rotation, and R the rotation averaged over the next positions,
//   p[j] = softmax over j of (k[j] . R m / sqrt(D) + k[j]^T R C R^T k[j] / (2 D)),
// meant over a key head's query heads, plus epsilon, times the length of the value. Rows that are
// kept first are left out of the softmax: they would take most of it.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "common/error.h"
#include "worker/policy/row_reader.h"

namespace varve {
namespace {

// One query head's expectation, ready to meet keys.
struct Expectation {
  std::vector<float> mean;        // [D], over sqrt(D)
  std::vector<float> covariance;  // [D, D], over 2 D; empty: not wanted
};

// y = R x for the averaged rotation: cos and sin [R / 2] each.
struct MeanRotation {
  std::vector<double> angles;  // [rope_dims]
  RopeLayout layout;

  void turn(double* x, std::size_t stride) const {
    const std::size_t half = angles.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      const bool halves = layout == RopeLayout::kHalves;
      double& a = x[(halves ? i : 2 * i) * stride];
      double& b = x[(halves ? i + half : 2 * i + 1) * stride];
      const double turned = a * angles[i] - b * angles[half + i];
      b = a * angles[half + i] + b * angles[i];
      a = turned;
    }
  }
};

class ExpectedAttentionScorer final : public Scorer {
 public:
  explicit ExpectedAttentionScorer(const PolicyConfig& policy)
      : future_(policy.scorer.count("future")),
        covariance_(policy.scorer.choice("covariance") == "yes"),
        value_norm_(policy.scorer.choice("value_norm") == "yes"),
        epsilon_(policy.scorer.get("epsilon")),
        first_(policy.keep_first) {}

  void score(const LayerRows& rows, Matrix scores) const override {
    VARVE_CHECK(rows.observed != nullptr, "no query was observed");
    const MeanRotation rotation = mean_rotation(rows);
    const std::size_t group = rows.params.q_heads / scores.rows;
    std::vector<std::vector<float>> logits(group, std::vector<float>(scores.cols));
    std::vector<float> lengths(scores.cols, 1.0F);
    RowReader reader(rows, value_norm_);
    for (std::size_t head = 0; head < scores.rows; ++head) {
      std::vector<Expectation> expected;
      for (std::size_t g = 0; g < group; ++g) {
        expected.push_back(expect(rows, head * group + g, rotation));
      }
      read_head(rows, reader, head, expected, logits, lengths);
      float* out = scores.row(head);
      std::fill_n(out, scores.cols, 0.0F);
      for (const std::vector<float>& head_logits : logits) add_softmax(head_logits, group, out);
      for (std::size_t j = 0; j < scores.cols; ++j) {
        out[j] = (out[j] + static_cast<float>(epsilon_)) * lengths[j];
      }
    }
  }

 private:
  MeanRotation mean_rotation(const LayerRows& rows) const {
    std::vector<std::int32_t> positions(future_);
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(rows.next_position));
    const std::size_t dims = rows.model.rope_dims;
    const Buffer work = rows.ops.allocate(future_ * dims * sizeof(float));
    rows.ops.rope_angles(positions, rows.inv_freq, {work.as<float>(), future_, dims, dims});
    std::vector<float> angles(future_ * dims);
    rows.ops.download(angles.data(), work.data(), angles.size() * sizeof(float));
    MeanRotation mean{std::vector<double>(dims), rows.model.rope_layout};
    for (std::size_t p = 0; p < future_; ++p) {
      for (std::size_t i = 0; i < dims; ++i) mean.angles[i] += double{angles[p * dims + i]};
    }
    for (double& angle : mean.angles) angle /= static_cast<double>(future_);
    return mean;
  }

  Expectation expect(const LayerRows& rows, std::size_t q_head, const MeanRotation& by) const {
    const std::size_t d = rows.model.head_dim;
    const auto count = static_cast<double>(std::max<std::size_t>(rows.observed->counted(), 1));
    const auto sums = rows.observed->sums(q_head);
    const auto products = rows.observed->products(q_head);
    std::vector<double> mean(d);
    for (std::size_t i = 0; i < d; ++i) mean[i] = sums[i] / count;
    Expectation expected;
    if (covariance_) {
      std::vector<double> c(d * d);
      for (std::size_t i = 0; i < d; ++i) {
        for (std::size_t j = 0; j < d; ++j) {
          c[i * d + j] = products[i * d + j] / count - mean[i] * mean[j];
        }
      }
      for (std::size_t j = 0; j < d; ++j) by.turn(c.data() + j, d);      // R C
      for (std::size_t i = 0; i < d; ++i) by.turn(c.data() + i * d, 1);  // R C R^T
      for (const double x : c) {
        expected.covariance.push_back(static_cast<float>(x / (2 * static_cast<double>(d))));
      }
    }
    by.turn(mean.data(), 1);
    for (const double m : mean) {
      expected.mean.push_back(static_cast<float>(m / std::sqrt(static_cast<double>(d))));
    }
    return expected;
  }

  // The exponents of each query head of the group and, if they count, the values' lengths.
  void read_head(const LayerRows& rows, RowReader& reader, std::size_t head,
                 const std::vector<Expectation>& expected, std::vector<std::vector<float>>& logits,
                 std::vector<float>& lengths) const {
    const std::size_t d = rows.model.head_dim;
    std::vector<Weight> covariances;
    for (const Expectation& e : expected) {
      if (!covariance_) break;
      covariances.push_back(rows.ops.prepare({e.covariance.data(), DType::kF32, d, d}));
    }
    std::vector<float> keys, turned, values;
    reader.read(head, [&](const RowBlock& block) {
      fetch(rows.ops, block.keys, keys);
      for (std::size_t g = 0; g < expected.size(); ++g) {
        if (covariance_) {
          const Buffer work = rows.ops.allocate(block.keys.rows * d * sizeof(float));
          const Matrix product{work.as<float>(), block.keys.rows, d, d};
          rows.ops.linear(block.keys, {covariances[g], product});
          fetch(rows.ops, product, turned);
        }
        for (std::size_t r = 0; r < block.keys.rows; ++r) {
          double sum = 0;
          for (std::size_t i = 0; i < d; ++i) {
            const double weight =
                double{expected[g].mean[i]} + (covariance_ ? double{turned[r * d + i]} : 0.0);
            sum += double{keys[r * d + i]} * weight;
          }
          logits[g][block.begin + r] = static_cast<float>(sum);
        }
      }
      if (!value_norm_) return;
      fetch(rows.ops, block.values, values);
      for (std::size_t r = 0; r < block.values.rows; ++r) {
        lengths[block.begin + r] = static_cast<float>(length_of(values.data() + r * d, d));
      }
    });
  }

  static void fetch(Ops& ops, Matrix m, std::vector<float>& host) {
    host.resize(m.rows * m.cols);
    ops.download(host.data(), m.data, host.size() * sizeof(float));
  }

  void add_softmax(const std::vector<float>& logits, std::size_t group, float* out) const {
    if (logits.size() <= first_) return;
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(first_);
    const double largest = double{*std::max_element(begin, logits.end())};
    double sum = 0;
    for (auto at = begin; at != logits.end(); ++at) sum += std::exp(double{*at} - largest);
    for (std::size_t j = first_; j < logits.size(); ++j) {
      const double p = std::exp(double{logits[j]} - largest) / sum;
      out[j] += static_cast<float>(p / static_cast<double>(group));
    }
  }

  std::size_t future_;
  bool covariance_;
  bool value_norm_;
  double epsilon_;
  std::size_t first_;
};

}  // namespace

std::unique_ptr<Scorer> make_expected_attention_scorer(const PolicyConfig& policy) {
  return std::make_unique<ExpectedAttentionScorer>(policy);
}

}  // namespace varve
