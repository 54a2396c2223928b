// Scorers that look at keys alone. Short keys: arXiv 2406.11430, which found that they draw most
// attention. Keys unlike the mean key: KeyDiff, arXiv 2504.15364.
#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/policy/row_reader.h"

namespace varve {
namespace {

class KeyNormScorer final : public Scorer {
 public:
  void score(const LayerRows& rows, Matrix scores) const override {
    RowReader reader(rows, false);
    for (std::size_t head = 0; head < scores.rows; ++head) {
      reader.read(head, [&](const RowBlock& block) {
        float* out = scores.row(head) + block.begin;
        for (std::size_t r = 0; r < block.keys.rows; ++r) {
          out[r] = static_cast<float>(-length_of(block.keys.row(r), block.keys.cols));
        }
      });
    }
  }
};

// Lengths are at least this, so that a key of zeros has a cosine too. The sizes are kvpress's.
constexpr double kLeastNormalised = 1e-12;
constexpr double kLeastInCosine = 1e-8;

// Of all rows of a head: the mean of their keys, each of length 1.
std::vector<double> mean_direction(std::size_t head, std::size_t head_dim, RowReader& reader) {
  std::vector<double> mean(head_dim);
  std::size_t count = 0;
  reader.read(head, [&](const RowBlock& block) {
    count += block.keys.rows;
    for (std::size_t r = 0; r < block.keys.rows; ++r) {
      const float* key = block.keys.row(r);
      const double length = std::max(length_of(key, head_dim), kLeastNormalised);
      for (std::size_t i = 0; i < head_dim; ++i) mean[i] += double{key[i]} / length;
    }
  });
  for (double& m : mean) m /= static_cast<double>(count);
  return mean;
}

class KeyDifferenceScorer final : public Scorer {
 public:
  // The cosine with the mean direction, negated.
  void score(const LayerRows& rows, Matrix scores) const override {
    const std::size_t d = rows.model.head_dim;
    RowReader reader(rows, false);
    for (std::size_t head = 0; head < scores.rows; ++head) {
      const std::vector<double> mean = mean_direction(head, d, reader);
      double squares = 0;
      for (const double m : mean) squares += m * m;
      const double mean_length = std::max(std::sqrt(squares), kLeastInCosine);
      reader.read(head, [&](const RowBlock& block) {
        float* out = scores.row(head) + block.begin;
        for (std::size_t r = 0; r < block.keys.rows; ++r) {
          const float* key = block.keys.row(r);
          const double length = std::max(length_of(key, d), kLeastInCosine);
          out[r] = static_cast<float>(-dot(key, mean.data(), d) / (length * mean_length));
        }
      });
    }
  }
};

}  // namespace

std::unique_ptr<Scorer> make_key_norm_scorer(const PolicyConfig&) {
  return std::make_unique<KeyNormScorer>();
}

std::unique_ptr<Scorer> make_key_difference_scorer(const PolicyConfig&) {
  return std::make_unique<KeyDifferenceScorer>();
}

}  // namespace varve
