#include "coordinator/plan/cost_model.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

// Pairs of `rows` queries at positions from `begin` on, each seeing itself and what is before it,
// or the window.
double pairs_from(double begin, double rows, double window) {
  const double unbounded = rows * begin + rows * (rows + 1) / 2;
  return std::min(unbounded, rows * window);
}

double layer_multiplications(const ModelConfig& m) {
  const auto hidden = static_cast<double>(m.hidden);
  const auto q = static_cast<double>(m.q_width());
  const auto kv = static_cast<double>(m.kv_width());
  return hidden * (2 * q + 2 * kv + 3 * static_cast<double>(m.intermediate));
}

}  // namespace

JobWork job_work(const ModelConfig& model, const JobShape& job,
                 const std::vector<std::size_t>& prompts, const std::vector<std::size_t>& answers,
                 std::size_t groups) {
  const auto prefix = static_cast<double>(job.prefix_rows);
  const auto chunk = static_cast<double>(job.chunk);
  const double window =
      model.sliding_window ? static_cast<double>(*model.sliding_window) : INFINITY;
  JobWork work;
  work.prefill_rows = prefix;
  work.prefill_pairs = pairs_from(0, prefix, window);
  double prompt_rows = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto prompt = static_cast<double>(prompts[i]);
    const auto answer = static_cast<double>(answers[i]);
    prompt_rows += prompt;
    work.prefill_pairs += pairs_from(prefix, prompt, window);
    work.decode_rows += answer - 1;
    work.decode_pairs += pairs_from(prefix + prompt, answer - 1, window);
    work.sampled_rows += answer;
  }
  work.prefill_rows += prompt_rows;
  work.prefill_steps = std::ceil(prefix / chunk) + std::ceil(prompt_rows / chunk);
  const double together = static_cast<double>(std::min(job.parallel, prompts.size()));
  const double group = std::max(1.0, together / static_cast<double>(groups));
  work.decode_steps = std::ceil(work.decode_rows / group);
  // Rows of one group share one reading of the prefix.
  work.decode_kv_rows = work.decode_steps * std::min(prefix, window);
  return work;
}

CostModel::CostModel(const ModelConfig& model, const WeightBytes& weights, const JobWork& work,
                     DType kv_dtype, const MachineRates& rates)
    : until_(model.layers + 1, 0) {
  const double rows = work.prefill_rows + work.decode_rows;
  const double steps = work.prefill_steps + work.decode_steps;
  // Per pair and head: one product of D with the key, one with the value.
  const double attention =
      4 * static_cast<double>(model.q_width()) * (work.prefill_pairs + work.decode_pairs);
  const double flops = 2 * rows * layer_multiplications(model) + attention;
  const double kv = work.decode_kv_rows * static_cast<double>(segment_bytes(model, 1, kv_dtype));
  for (std::size_t l = 0; l < model.layers; ++l) {
    const double bytes = steps * static_cast<double>(weights.layer[l]) + kv;
    until_[l + 1] = until_[l] + flops / rates.flops_per_second + bytes / rates.bytes_per_second;
  }
  const auto head_bytes =
      static_cast<double>(model.tied_embeddings ? weights.embedding : weights.head);
  const double head_flops =
      2 * work.sampled_rows * static_cast<double>(model.hidden) * static_cast<double>(model.vocab);
  // The steps that sample: those of decoding, and at least one for the first tokens.
  const double samplings = work.sampled_rows > 0 ? work.decode_steps + 1 : 0;
  head_ = head_flops / rates.flops_per_second + samplings * head_bytes / rates.bytes_per_second;
}

double CostModel::seconds(LayerRange layers) const {
  const bool last = layers.end + 1 == until_.size();
  return until_[layers.end] - until_[layers.begin] + (last ? head_ : 0);
}

}  // namespace varve
