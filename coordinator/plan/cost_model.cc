#include "coordinator/plan/cost_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/policy/allocation.h"
#include "common/policy/decode_schedule.h"
#include "common/policy/kept_bytes.h"

namespace varve {
namespace {

// Pairs of `rows` queries at positions from `begin` on, each seeing itself and what is before it,
// or the window.
double pairs_from(double begin, double rows, double window) {
  const double unbounded = rows * begin + rows * (rows + 1) / 2;
  return std::min(unbounded, rows * window);
}

// The same where none of them sees more than `most`.
double bounded_pairs(double begin, double rows, double most, double window) {
  const double growing = std::clamp(most - begin, 0.0, rows);
  const double pairs = pairs_from(begin, growing, window);
  return growing == rows ? pairs : pairs + (rows - growing) * std::min(most, window);
}

double layer_multiplications(const ModelConfig& m) {
  const auto hidden = static_cast<double>(m.hidden);
  const auto q = static_cast<double>(m.q_width());
  const auto kv = static_cast<double>(m.kv_width());
  return hidden * (2 * q + 2 * kv + 3 * static_cast<double>(m.intermediate));
}

// Scores that are sums of attention's weights take the products with the keys once more.
constexpr double kScored = 1.5;

bool streams(const PolicyConfig& policy) {
  return policy.compaction.name == "per_chunk";
}

// Rows of the document between two compactions.
std::size_t period_of(const JobShape& job) {
  return streams(job.policy) ? job.policy.compaction.count("rows") : job.prefix_rows;
}

// Probes come at the end of each.
std::size_t periods_in(const JobShape& job) {
  const std::size_t period = std::max<std::size_t>(period_of(job), 1);
  return (job.prefix_rows + period - 1) / period;
}

// Like periods of the document: rows that are held when one begins, and how many it adds.
struct Period {
  std::size_t held = 0;
  std::size_t rows = 0;
  std::size_t times = 1;
};

// Of a layer with a budget. Where a selection comes late, what has been read since is held, too.
std::vector<Period> periods_of(const JobShape& job, std::size_t budget) {
  if (!streams(job.policy)) return {{0, job.prefix_rows, 1}};
  const std::size_t period = period_of(job);
  const std::size_t whole = job.prefix_rows / period;
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  const std::size_t late = document_room(job.policy, 0, most).rows / period - 1;
  const auto held = [&](std::size_t k) {
    return k <= late ? k * period : std::min((k - late) * period, budget) + late * period;
  };
  std::vector<Period> periods;
  for (std::size_t k = 0; k < whole;) {
    const bool steady = k > late && (k - late) * period >= budget;
    periods.push_back({held(k), period, steady ? whole - k : 1});
    k += periods.back().times;
  }
  const std::size_t rest = job.prefix_rows % period;
  if (rest > 0) periods.push_back({held(whole), rest, 1});
  return periods;
}

// What attention visits while the document is read, by its rows and by the probes behind them.
double reading_pairs(const JobShape& job, std::size_t budget, double window) {
  const PolicyConfig& policy = job.policy;
  const Protected sides = protected_rows(policy, budget);
  const bool local = reads_locally(policy, budget, job.prefix_rows);
  const double scored = document_needs(policy).mass ? kScored : 1;
  double pairs = 0;
  for (const Period& p : periods_of(job, budget)) {
    const std::size_t seen = local ? std::min(p.held, sides.first + sides.last) : p.held;
    double once =
        scored * pairs_from(static_cast<double>(seen), static_cast<double>(p.rows), window);
    for (const std::uint32_t probe : job.probes) {
      once += kScored * pairs_from(static_cast<double>(p.held + p.rows), probe, window);
    }
    pairs += static_cast<double>(p.times) * once;
  }
  return pairs;
}

// Of one layer while questions are read and answered.
class Answering {
 public:
  Answering(const JobShape& job, std::size_t kept, double window)
      : policy_(job.policy),
        asked_(job.policy.compaction.name == "after_question"),
        local_(reads_locally(job.policy, kept, job.prefix_rows)),
        prefix_(static_cast<double>(job.prefix_rows)),
        kept_(static_cast<double>(kept)),
        pool_(static_cast<double>(pool_budget(job.policy, kept, job.prefix_rows))),
        window_(window),
        scored_(answer_needs(job.policy).mass ? kScored : 1) {}

  double prefill_pairs(double prompt) const {
    return scored_ * pairs_from(asked_ ? prefix_ : kept_, prompt, window_);
  }

  double decode_pairs(double prompt, double rows) const {
    const double before = kept_ + prompt;
    if (policy_.decode.name == "one_pool") {
      const double begin = std::min(before, pool_);
      return scored_ * bounded_pairs(begin, rows, std::max(pool_ + 1, begin), window_);
    }
    const DecodeSchedule schedule(policy_.decode, static_cast<std::size_t>(rows));
    if (!schedule.has_pool()) return pairs_from(before, rows, window_);
    const auto most = static_cast<double>(schedule.peak_rows());
    return bounded_pairs(before, rows, before + most, window_);
  }

  /// Whether questions read one copy of what is kept of the document.
  bool shares() const { return !asked_ && !local_ && policy_.decode.name != "one_pool"; }

 private:
  const PolicyConfig& policy_;
  bool asked_;
  bool local_;
  double prefix_;
  double kept_;
  double pool_;
  double window_;
  double scored_;
};

// Of what is kept of the document, as far as a query sees it, read so often.
double kept_bytes_read(const ModelConfig& model, const JobShape& job, std::size_t kept,
                       double window, double readings) {
  const double rows = readings * std::min(static_cast<double>(kept), window);
  if (job.policy.compaction.name == "never") {
    return rows * static_cast<double>(segment_bytes(model, 1, job.kv_dtype));
  }
  if (kept == 0) return 0;
  const auto held = static_cast<double>(kept_bytes(job.policy, model, kept, job.kv_dtype).held);
  return rows * (held / static_cast<double>(kept));
}

LayerWork layer_work(const ModelConfig& model, const JobShape& job, std::size_t budget,
                     const std::vector<std::size_t>& prompts,
                     const std::vector<std::size_t>& answers, const JobWork& work) {
  const double window =
      model.sliding_window ? static_cast<double>(*model.sliding_window) : INFINITY;
  const Answering answering(job, budget, window);
  LayerWork layer;
  layer.prefill_pairs = reading_pairs(job, budget, window);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto prompt = static_cast<double>(prompts[i]);
    layer.prefill_pairs += answering.prefill_pairs(prompt);
    layer.decode_pairs += answering.decode_pairs(prompt, static_cast<double>(answers[i]) - 1);
  }
  // Rows of one group share one reading of what they share.
  const double readings = answering.shares() ? work.decode_steps : work.decode_rows;
  layer.decode_kv_bytes = kept_bytes_read(model, job, budget, window, readings);
  return layer;
}

std::vector<std::uint32_t> budgets_of(const ModelConfig& model, const JobShape& job) {
  const std::size_t budget = budget_rows(job.policy, job.prefix_rows, model, job.kv_dtype);
  if (needs_uncertainty(job.policy)) {
    return std::vector<std::uint32_t>(model.layers, static_cast<std::uint32_t>(budget));
  }
  return layer_budgets(job.policy, budget, job.prefix_rows, model.layers);
}

}  // namespace

std::size_t prefix_steps(const JobShape& job) {
  const auto steps = [&](std::size_t rows) { return (rows + job.chunk - 1) / job.chunk; };
  const std::size_t period = std::max<std::size_t>(period_of(job), 1);
  return job.prefix_rows / period * steps(period) + steps(job.prefix_rows % period);
}

JobWork job_work(const ModelConfig& model, const JobShape& job,
                 const std::vector<std::size_t>& prompts, const std::vector<std::size_t>& answers,
                 std::size_t groups) {
  JobWork work;
  work.prefill_rows = static_cast<double>(job.prefix_rows);
  double prompt_rows = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    prompt_rows += static_cast<double>(prompts[i]);
    work.decode_rows += static_cast<double>(answers[i]) - 1;
    work.sampled_rows += static_cast<double>(answers[i]);
  }
  work.prefill_rows += prompt_rows;
  work.prefill_rows += static_cast<double>(periods_in(job) * (job.step_rows() - job.chunk));
  const auto chunk = static_cast<double>(job.chunk);
  work.prefill_steps = static_cast<double>(prefix_steps(job)) + std::ceil(prompt_rows / chunk);
  const double together = static_cast<double>(std::min(job.parallel, prompts.size()));
  const double group = std::max(1.0, together / static_cast<double>(groups));
  work.decode_steps = std::ceil(work.decode_rows / group);
  const std::vector<std::uint32_t> budgets = budgets_of(model, job);
  for (std::size_t l = 0; l < budgets.size(); ++l) {
    const bool as_before = l > 0 && budgets[l] == budgets[l - 1];
    work.layers.push_back(as_before ? work.layers[l - 1]
                                    : layer_work(model, job, budgets[l], prompts, answers, work));
  }
  return work;
}

CostModel::CostModel(const ModelConfig& model, const WeightBytes& weights, const JobWork& work,
                     const MachineRates& rates)
    : until_(model.layers + 1, 0) {
  const double rows = work.prefill_rows + work.decode_rows;
  const double steps = work.prefill_steps + work.decode_steps;
  for (std::size_t l = 0; l < model.layers; ++l) {
    const LayerWork& layer = work.layers[l];
    // Per pair and head: one product of D with the key, one with the value.
    const double attention =
        4 * static_cast<double>(model.q_width()) * (layer.prefill_pairs + layer.decode_pairs);
    const double flops = 2 * rows * layer_multiplications(model) + attention;
    const double bytes = steps * static_cast<double>(weights.layer[l]) + layer.decode_kv_bytes;
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
