#include "tests/worker/policy/layer_scene.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/kernels/attend_fixture.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

ModelConfig model_of(const SceneShape& shape) {
  ModelConfig model;
  model.layers = 1;
  model.kv_heads = shape.kv_heads;
  model.q_heads = shape.kv_heads * shape.group;
  model.head_dim = shape.head_dim;
  model.rope_dims = shape.rope_dims;
  model.rope_layout = shape.layout;
  model.rope_theta = 1000;
  return model;
}

std::vector<float> frequencies(const ModelConfig& model) {
  std::vector<float> inv_freq;
  for (std::size_t i = 0; i < model.rope_dims; i += 2) {
    const double exponent = static_cast<double>(i) / static_cast<double>(model.rope_dims);
    inv_freq.push_back(static_cast<float>(std::pow(model.rope_theta, -exponent)));
  }
  return inv_freq;
}

// Every head of row t of x, turned by t.
void rotate(Rows& x, const ModelConfig& model, std::span<const float> inv_freq) {
  const std::size_t half = model.rope_dims / 2;
  const bool halves = model.rope_layout == RopeLayout::kHalves;
  for (std::size_t t = 0; t < x.view().rows; ++t) {
    for (std::size_t at = 0; at < x.view().cols; at += model.head_dim) {
      for (std::size_t i = 0; i < half; ++i) {
        float& a = x.row(t)[at + (halves ? i : 2 * i)];
        float& b = x.row(t)[at + (halves ? i + half : 2 * i + 1)];
        const double angle = double{static_cast<float>(t) * inv_freq[i]};
        const double turned = a * std::cos(angle) - b * std::sin(angle);
        b = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
        a = static_cast<float>(turned);
      }
    }
  }
}

// Exchanges the first two of x's groups of `width` columns.
void swap_first(Rows& x, std::size_t width) {
  for (std::size_t t = 0; t < x.view().rows; ++t) {
    std::swap_ranges(x.row(t), x.row(t) + width, x.row(t) + width);
  }
}

}  // namespace

LayerScene::LayerScene(Ops& ops, const SceneShape& shape, std::uint64_t seed)
    : ops_(ops),
      shape_(shape),
      model_(model_of(shape)),
      inv_freq_(frequencies(model_)),
      positions_(shape.rows),
      plain_q_(0, 0),
      q_(0, 0),
      k_(0, 0),
      v_(0, 0),
      back_(shape.rows, shape.rope_dims),
      lse_(shape.rows, model_.q_heads, 3),
      cache_(shape.dtype, shape.kv_heads, shape.head_dim, shape.rows) {
  Random random(seed);
  std::iota(positions_.begin(), positions_.end(), 0);
  plain_q_ = Rows::random(shape.rows, model_.q_width(), random, 5);
  // Queries whose mean is not 0, so that there is something to expect of them.
  for (std::size_t t = 0; t < shape.rows; ++t) {
    for (std::size_t i = 0; i < model_.q_width(); ++i) {
      plain_q_.row(t)[i] += 0.4F * std::sin(static_cast<float>(i));
    }
  }
  k_ = Rows::random(shape.rows, model_.kv_width(), random);
  v_ = Rows::random(shape.rows, model_.kv_width(), random);
  if (shape.swapped) {
    swap_first(plain_q_, shape.group * shape.head_dim);
    swap_first(k_, shape.head_dim);
    swap_first(v_, shape.head_dim);
  }
  q_ = plain_q_;
  rotate(q_, model_, inv_freq_);
  rotate(k_, model_, inv_freq_);
  std::vector<std::int32_t> negated(shape.rows);
  std::transform(positions_.begin(), positions_.end(), negated.begin(), std::negate<>());
  ops.rope_angles(negated, inv_freq_, back_.view());
  store();
}

void LayerScene::plant(std::size_t row, float length) {
  for (std::size_t i = 0; i < k_.view().cols; ++i) {
    const std::size_t head = i / shape_.head_dim;
    const std::size_t first = head * shape_.group * shape_.head_dim + i % shape_.head_dim;
    float sum = 0;
    for (std::size_t g = 0; g < shape_.group; ++g) {
      sum += q_.row(shape_.rows - 1)[first + g * shape_.head_dim];
    }
    k_.row(row)[i] = length * sum / static_cast<float>(shape_.group);
  }
  store();
}

void LayerScene::store() {
  ops_.append_rows(k_.view(), v_.view(), positions_, cache_.store(shape_.rows), 0);
  keys_.clear();
  values_.clear();
  for (std::size_t head = 0; head < shape_.kv_heads; ++head) {
    const SegmentView all = cache_.view(shape_.rows);
    for (const float x : decode_keys(all, head)) keys_.push_back(double{x});
    for (const float x : decode_values(all, head)) values_.push_back(double{x});
  }
  lse_exact_.assign(shape_.rows * q_heads(), 0.0);
  double most = 0;
  for (std::size_t i = 0; i < shape_.rows; ++i) {
    for (std::size_t h = 0; h < q_heads(); ++h) {
      double sum = 0;
      for (std::size_t j = 0; j <= i; ++j) {
        if (!sees(i, j)) continue;
        const double score = dot(h, i, j);
        sum += std::exp(score);
        most = std::max(most, std::abs(score));
      }
      lse_exact_[i * q_heads() + h] = std::log(sum);
      lse_.row(i)[h] = static_cast<float>(std::log(sum));
      most = std::max(most, std::abs(std::log(sum)));
    }
  }
  // A score is a sum of D products and an lse is rounded, each a few units of float32's precision;
  // as exponents they shift a probability by as much. Then the probabilities are added up.
  tolerance_ = std::expm1(kEps * (static_cast<double>(shape_.head_dim) + 8) * most) + 1e-5;
}

AttendParams LayerScene::params() const {
  return {.q_heads = q_heads(),
          .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.head_dim))),
          .window = shape_.window};
}

bool LayerScene::sees(std::size_t i, std::size_t j) const {
  return j <= i && (!shape_.window || j + *shape_.window > i);
}

double LayerScene::dot(std::size_t head, std::size_t i, std::size_t j) const {
  const float* q = q_.view().row(i) + head * shape_.head_dim;
  const double* k = key(head / shape_.group, j);
  double sum = 0;
  for (std::size_t d = 0; d < shape_.head_dim; ++d) sum += double{q[d]} * k[d];
  return sum / std::sqrt(static_cast<double>(shape_.head_dim));
}

double LayerScene::probability(std::size_t head, std::size_t i, std::size_t j) const {
  if (!sees(i, j)) return 0;
  return std::exp(dot(head, i, j) - lse_exact_[i * q_heads() + head]);
}

const double* LayerScene::key(std::size_t kv_head, std::size_t row) const {
  return keys_.data() + (kv_head * shape_.rows + row) * shape_.head_dim;
}

const double* LayerScene::value(std::size_t kv_head, std::size_t row) const {
  return values_.data() + (kv_head * shape_.rows + row) * shape_.head_dim;
}

const float* LayerScene::plain_query(std::size_t head, std::size_t row) const {
  return plain_q_.view().row(row) + head * shape_.head_dim;
}

std::vector<SegmentView> LayerScene::segments(std::size_t rows,
                                              const std::vector<std::size_t>& cuts) const {
  std::vector<SegmentView> views;
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    if (cut >= rows) break;
    views.push_back(cache_.view(begin, cut));
    begin = cut;
  }
  views.push_back(cache_.view(begin, rows));
  return views;
}

Observed LayerScene::observe(const ObservedNeeds& needs, std::size_t skip, std::size_t chunk,
                             const std::vector<std::size_t>& cuts) const {
  Observed observed(model_, needs, shape_.rows, skip, ops_);
  const auto part = [](ConstMatrix m, std::size_t at, std::size_t count) {
    return ConstMatrix{m.row(at), count, m.cols, m.stride};
  };
  for (std::size_t at = 0; at < shape_.rows; at += chunk) {
    const std::size_t count = std::min(chunk, shape_.rows - at);
    const std::vector<SegmentView> so_far = segments(at + count, cuts);
    observed.observe({part(q_.view(), at, count), part(lse_.view(), at, count),
                      std::span(positions_).subspan(at, count), part(back_.view(), at, count)},
                     so_far, params());
  }
  return observed;
}

LayerRows LayerScene::layer_rows(std::span<const SegmentView> segments,
                                 const Observed* observed) const {
  return {.ops = ops_,
          .model = model_,
          .params = params(),
          .segments = segments,
          .observed = observed,
          .next_position = shape_.rows,
          .inv_freq = inv_freq_};
}

Rows LayerScene::scores(const PolicyConfig& policy, std::size_t chunk,
                        const std::vector<std::size_t>& cuts) const {
  const Observed observed = observe(document_needs(policy), policy.keep_first, chunk, cuts);
  const std::vector<SegmentView> views = segments(shape_.rows, cuts);
  Rows scores(shape_.kv_heads, shape_.rows, 2);
  make_scorer(policy)->score(layer_rows(views, &observed), scores.view());
  return scores;
}

PolicyConfig policy_with(const Component& scorer, std::uint32_t keep_first) {
  PolicyConfig policy;
  policy.scorer = scorer;
  policy.compaction = make_component("after_document");
  policy.keep_first = keep_first;
  return policy;
}

}  // namespace varve::test
