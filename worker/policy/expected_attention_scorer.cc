// Attention of queries to come, were they drawn from a normal distribution with the moments of
// those seen: Expected Attention (arXiv 2510.00636, section 3), as kvpress 0.5.5 computes it. For a
// query head with mean m and covariance C of its queries before rotation, and R the rotation
// averaged over the next positions,
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

// A rotation, averaged over positions.
struct MeanRotation {
  std::vector<double> angles;  // [rope_dims]: means of cosines, then of sines
  RopeLayout layout;

  // Turns x [D], whose elements lie `stride` apart.
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

// Of the `future` positions that come next.
MeanRotation mean_rotation(const LayerRows& rows, std::size_t future) {
  std::vector<std::int32_t> positions(future);
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(rows.next_position));
  const std::size_t dims = rows.model.rope_dims;
  const Buffer work = rows.ops.allocate(future * dims * sizeof(float));
  rows.ops.rope_angles(positions, rows.inv_freq, {work.as<float>(), future, dims, dims});
  std::vector<float> angles(future * dims);
  rows.ops.download(angles.data(), work.data(), angles.size() * sizeof(float));
  MeanRotation mean{std::vector<double>(dims), rows.model.rope_layout};
  for (std::size_t p = 0; p < future; ++p) {
    for (std::size_t i = 0; i < dims; ++i) mean.angles[i] += double{angles[p * dims + i]};
  }
  for (double& angle : mean.angles) angle /= static_cast<double>(future);
  return mean;
}

// One query head's expectation, ready to meet keys.
struct Expectation {
  std::vector<float> mean;        // [D], over sqrt(D)
  std::vector<float> covariance;  // [D, D], over 2 D; empty: not wanted
  Weight weight;                  // the latter, for the backend
};

std::vector<double> mean_query(const Observed& observed, std::size_t q_head) {
  const auto count = static_cast<double>(std::max<std::size_t>(observed.counted(), 1));
  const std::span<const double> sums = observed.sums(q_head);
  std::vector<double> mean(sums.begin(), sums.end());
  for (double& m : mean) m /= count;
  return mean;
}

// R C R^T.
std::vector<double> covariance(const Observed& observed, std::size_t q_head,
                               std::span<const double> mean, const MeanRotation& by) {
  const std::size_t d = mean.size();
  const auto count = static_cast<double>(std::max<std::size_t>(observed.counted(), 1));
  const std::span<const double> products = observed.products(q_head);
  std::vector<double> c(d * d);
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t j = i; j < d; ++j) {
      c[i * d + j] = c[j * d + i] = products[i * d + j] / count - mean[i] * mean[j];
    }
  }
  for (std::size_t j = 0; j < d; ++j) by.turn(c.data() + j, d);
  for (std::size_t i = 0; i < d; ++i) by.turn(c.data() + i * d, 1);
  return c;
}

std::vector<float> scaled(std::span<const double> values, double factor) {
  std::vector<float> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(),
                 [=](double v) { return static_cast<float>(v * factor); });
  return out;
}

class ExpectedAttentionScorer final : public Scorer {
 public:
  explicit ExpectedAttentionScorer(const PolicyConfig& policy)
      : future_(policy.scorer.count("future")),
        uses_covariance_(policy.scorer.choice("covariance") == "yes"),
        uses_values_(policy.scorer.choice("value_norm") == "yes"),
        epsilon_(policy.scorer.get("epsilon")),
        first_(policy.keep_first) {}

  void score(const LayerRows& rows, Matrix scores) const override {
    VARVE_CHECK(rows.observed != nullptr, "no query was observed");
    const MeanRotation rotation = mean_rotation(rows, future_);
    const std::size_t group = rows.params.q_heads / scores.rows;
    HeadWork work{std::vector<std::vector<float>>(group, std::vector<float>(scores.cols)),
                  std::vector<float>(uses_values_ ? scores.cols : 0),
                  {},
                  {}};
    work.product = rows.ops.allocate(RowReader::kBlockRows * rows.model.head_dim * sizeof(float));
    work.turned.resize(RowReader::kBlockRows * rows.model.head_dim);
    RowReader reader(rows, uses_values_);
    for (std::size_t head = 0; head < scores.rows; ++head) {
      std::vector<Expectation> expected;
      for (std::size_t g = 0; g < group; ++g) {
        expected.push_back(expect(rows, head * group + g, rotation));
      }
      reader.read(head, [&](const RowBlock& block) { read(rows.ops, block, expected, work); });
      combine(work, {scores.row(head), scores.cols});
    }
  }

 private:
  struct HeadWork {
    std::vector<std::vector<float>> logits;  // [query heads of the key head][rows]
    std::vector<float> lengths;              // [rows], of values, if they count
    Buffer product;                          // of a block of keys with a covariance
    std::vector<float> turned;               // the same on the host
  };

  Expectation expect(const LayerRows& rows, std::size_t q_head, const MeanRotation& by) const {
    const std::size_t d = rows.model.head_dim;
    const auto size = static_cast<double>(d);
    Expectation expected;
    std::vector<double> mean = mean_query(*rows.observed, q_head);
    if (uses_covariance_) {
      expected.covariance = scaled(covariance(*rows.observed, q_head, mean, by), 1 / (2 * size));
      expected.weight = rows.ops.prepare({expected.covariance.data(), DType::kF32, d, d});
    }
    by.turn(mean.data(), 1);
    expected.mean = scaled(mean, 1 / std::sqrt(size));
    return expected;
  }

  void read(Ops& ops, const RowBlock& block, std::span<const Expectation> expected,
            HeadWork& work) const {
    const std::size_t count = block.keys.rows;
    const std::size_t d = block.keys.cols;
    for (std::size_t g = 0; g < expected.size(); ++g) {
      const Expectation& e = expected[g];
      float* out = work.logits[g].data() + block.begin;
      if (uses_covariance_) {
        ops.linear(block.device_keys, {e.weight, {work.product.as<float>(), count, d, d}});
        ops.download(work.turned.data(), work.product.data(), count * d * sizeof(float));
      }
      for (std::size_t r = 0; r < count; ++r) {
        const float* key = block.keys.row(r);
        double logit = dot(key, e.mean.data(), d);
        if (uses_covariance_) logit += dot(key, work.turned.data() + r * d, d);
        out[r] = static_cast<float>(logit);
      }
    }
    for (std::size_t r = 0; r < block.values.rows; ++r) {
      work.lengths[block.begin + r] = static_cast<float>(length_of(block.values.row(r), d));
    }
  }

  void combine(HeadWork& work, std::span<float> scores) const {
    std::fill(scores.begin(), scores.end(), 0.0F);
    for (std::vector<float>& logits : work.logits) {
      add_softmax(logits, static_cast<double>(work.logits.size()), scores);
    }
    if (!uses_values_) return;
    for (std::size_t j = 0; j < scores.size(); ++j) {
      scores[j] = (scores[j] + static_cast<float>(epsilon_)) * work.lengths[j];
    }
  }

  void add_softmax(std::span<float> logits, double group, std::span<float> scores) const {
    if (logits.size() <= first_) return;
    const std::span<float> counted = logits.subspan(first_);
    const double largest = double{*std::max_element(counted.begin(), counted.end())};
    double sum = 0;
    for (float& x : counted) {
      const double e = std::exp(double{x} - largest);
      x = static_cast<float>(e);
      sum += e;
    }
    const double factor = 1 / (sum * group);
    for (std::size_t j = first_; j < scores.size(); ++j) {
      scores[j] += static_cast<float>(double{logits[j]} * factor);
    }
  }

  std::size_t future_;
  bool uses_covariance_;
  bool uses_values_;
  double epsilon_;
  std::size_t first_;
};

}  // namespace

std::unique_ptr<Scorer> make_expected_attention_scorer(const PolicyConfig& policy) {
  return std::make_unique<ExpectedAttentionScorer>(policy);
}

}  // namespace varve
