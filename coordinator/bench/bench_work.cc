#include "coordinator/bench/bench_work.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace varve {
namespace {

// Keys that the query at `position` sees.
std::size_t visible(const ModelConfig& model, std::size_t position) {
  const std::size_t all = position + 1;
  return model.sliding_window ? std::min(*model.sliding_window, all) : all;
}

// (query, key) pairs of the tokens of one sequence, per layer and head.
double pairs(const BenchCase& c, const ModelConfig& model) {
  double sum = 0;
  for (std::size_t i = 0; i < c.tokens; ++i) {
    sum += static_cast<double>(visible(model, c.depth + i));
  }
  return sum;
}

double weight_bytes(const ModelConfig& model, const WeightBytes& weights) {
  const std::size_t layers =
      std::accumulate(weights.layer.begin(), weights.layer.end(), std::size_t{0});
  const std::size_t head = model.tied_embeddings ? weights.embedding : weights.head;
  return static_cast<double>(layers + head + weights.final_norm);
}

// Rows read in all steps, per layer: those shared, once for each group, and the sequences' own.
double rows_read(const BenchCase& c, const ModelConfig& model, std::size_t groups) {
  double sum = 0;
  for (std::size_t i = 0; i < c.tokens; ++i) {
    const std::size_t all = visible(model, c.depth + i);
    const std::size_t own = std::min(i + 1, all);
    sum += static_cast<double>((all - own) * groups + own * c.sequences);
  }
  return sum;
}

}  // namespace

Parameters parameters(const ModelConfig& model) {
  const std::size_t attention = model.hidden * (2 * model.q_width() + 2 * model.kv_width());
  const std::size_t mlp = 3 * model.hidden * model.intermediate;
  const std::size_t table = model.vocab * model.hidden;
  return {.layers = model.layers * (attention + mlp),
          .head = table,
          .embedding = model.tied_embeddings ? 0 : table};
}

BenchWork work_of(const BenchCase& c, const ModelConfig& model, const WeightBytes& weights,
                  DType kv_dtype, std::size_t groups) {
  const bool generates = c.kind == BenchCase::Kind::kGenerate;
  const Parameters count = parameters(model);
  const double tokens = c.tokens;
  const double sampled = generates ? tokens : 1;
  const double per_pair =
      4.0 * static_cast<double>(model.layers) * static_cast<double>(model.q_width());
  BenchWork work;
  work.flops =
      c.sequences * (2 * tokens * static_cast<double>(count.layers) +
                     2 * sampled * static_cast<double>(count.head) + per_pair * pairs(c, model));
  if (!generates) return work;
  const std::size_t row = 2 * model.kv_heads * row_bytes(kv_dtype, model.head_dim);
  work.read_bytes = tokens * static_cast<double>(groups) * weight_bytes(model, weights) +
                    static_cast<double>(model.layers * row) * rows_read(c, model, groups);
  return work;
}

Spread spread_of(std::span<const double> values) {
  if (values.empty()) return {};
  const double count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, values.size() < 2 ? 0 : std::sqrt(squares / (count - 1))};
}

}  // namespace varve
