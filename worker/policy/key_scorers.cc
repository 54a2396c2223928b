// Scorers that look at keys alone. Short keys: arXiv 2406.11430, which found that they draw most
// attention. Keys unlike the mean key: KeyDiff, arXiv 2504.15364.
#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/policy/row_reader.h"

namespace varve {
namespace {

// Rows of a block on the host.
class HostRows {
 public:
  HostRows(Ops& ops, Matrix rows) : cols_(rows.cols), data_(rows.rows * rows.cols) {
    ops.download(data_.data(), rows.data, data_.size() * sizeof(float));
  }
  const float* row(std::size_t r) const { return data_.data() + r * cols_; }

 private:
  std::size_t cols_;
  std::vector<float> data_;
};

class KeyNormScorer final : public Scorer {
 public:
  void score(const LayerRows& rows, Matrix scores) const override {
    RowReader reader(rows, false);
    for (std::size_t head = 0; head < scores.rows; ++head) {
      reader.read(head, [&](const RowBlock& block) {
        const HostRows keys(rows.ops, block.keys);
        for (std::size_t r = 0; r < block.keys.rows; ++r) {
          const double length = length_of(keys.row(r), block.keys.cols);
          scores.row(head)[block.begin + r] = static_cast<float>(-length);
        }
      });
    }
  }
};

class KeyDifferenceScorer final : public Scorer {
 public:
  // The cosine with the mean direction, of all rows of the head.
  void score(const LayerRows& rows, Matrix scores) const override {
    RowReader reader(rows, false);
    for (std::size_t head = 0; head < scores.rows; ++head) {
      const std::vector<double> mean = mean_direction(rows, head, reader);
      double squares = 0;
      for (const double m : mean) squares += m * m;
      const double mean_length = std::max(std::sqrt(squares), kLeast);
      reader.read(head, [&](const RowBlock& block) {
        const HostRows keys(rows.ops, block.keys);
        for (std::size_t r = 0; r < block.keys.rows; ++r) {
          const float* key = keys.row(r);
          double dot = 0;
          for (std::size_t i = 0; i < mean.size(); ++i) dot += double{key[i]} * mean[i];
          const double length = std::max(length_of(key, mean.size()), kLeast);
          scores.row(head)[block.begin + r] = static_cast<float>(-dot / (length * mean_length));
        }
      });
    }
  }

 private:
  static constexpr double kLeast = 1e-8;  // length of a key, so that a zero key has a cosine

  static std::vector<double> mean_direction(const LayerRows& rows, std::size_t head,
                                            RowReader& reader) {
    std::vector<double> mean(rows.model.head_dim);
    std::size_t count = 0;
    reader.read(head, [&](const RowBlock& block) {
      const HostRows keys(rows.ops, block.keys);
      count += block.keys.rows;
      for (std::size_t r = 0; r < block.keys.rows; ++r) {
        const float* key = keys.row(r);
        const double length = std::max(length_of(key, mean.size()), kLeast);
        for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += double{key[i]} / length;
      }
    });
    for (double& m : mean) m /= static_cast<double>(count);
    return mean;
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
