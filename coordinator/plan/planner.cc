#include "coordinator/plan/planner.h"

#include <algorithm>

#include "common/error.h"
#include "common/plan/cache_plan.h"
#include "common/plan/layer_cut.h"
#include "common/plan/question.h"
#include "common/policy/contradictions.h"
#include "common/policy/presets.h"
#include "coordinator/plan/fit.h"

namespace varve {
namespace {

constexpr std::size_t kMostParallel = 64;  // when nobody says: more gains little and costs rows

std::string streaming_presets() {
  std::string text;
  for (const Preset& preset : presets()) {
    if (!outlives_context(preset.policy)) continue;
    text += (text.empty() ? "" : ", ") + preset.policy.preset;
  }
  return text;
}

std::string beyond_context(const PolicyConfig& policy) {
  const std::string& name = policy.preset;
  if (outlives_context(policy)) {
    return fmt::format("policy {} keeps them beside its budget; lower cache.budget", name);
  }
  const std::string_view why =
      drops_document_rows(policy) ? "reads the document at its own positions" : "keeps every row";
  return fmt::format(
      "policy {} {} and cannot go beyond the trained context; a streaming policy "
      "can: {}",
      name, why, streaming_presets());
}

void check_policy(const ModelConfig& model, const JobDemand& demand, const PlanOptions& options) {
  std::vector<Contradiction> found =
      contradictions_with(demand.policy, model, demand.kv_dtype, options.ranks);
  if (found.empty()) {
    found =
        contradictions_with_document(demand.policy, model, demand.kv_dtype, demand.prefix_tokens);
  }
  std::string text;
  for (const Contradiction& c : found) {
    text += fmt::format("{}cache.{}: {}", text.empty() ? "" : "\n", c.path, c.text);
  }
  if (!text.empty()) throw ConfigError(text);
}

void check_stream(const ModelConfig& model, const JobDemand& demand) {
  const std::size_t most = reading_positions(model, demand, demand.prefix_tokens);
  if (most <= model.context) return;
  throw ConfigError(fmt::format(
      "policy {} would hold {} rows, its budget and what it reads between two compactions, {} more "
      "than the {} of {}'s context; lower cache.budget",
      demand.policy.preset, most, most - model.context, model.context, model.name));
}

void check_prefix(const ModelConfig& model, const JobDemand& demand) {
  if (outlives_context(demand.policy)) return check_stream(model, demand);
  if (demand.prefix_tokens <= model.context) return;
  const std::size_t before = demand.prefix_tokens - demand.document_tokens;
  const std::string with =
      before == 0 ? "" : fmt::format(", {} with what stands before it,", demand.prefix_tokens);
  throw ConfigError(
      fmt::format("the document is too long: its {} tokens{} are {} more than the {} of {}'s "
                  "context; {}",
                  demand.document_tokens, with, demand.prefix_tokens - model.context, model.context,
                  model.name, beyond_context(demand.policy)));
}

// `taken`: positions of the document.
std::string question_problem(const ModelConfig& model, std::size_t taken, const QuestionShape& q) {
  if (q.tokens == 0) return fmt::format("question '{}' has no tokens", q.id);
  const std::size_t all = taken + q.tokens;
  if (all <= model.context) return {};
  if (q.tokens > model.context) {
    return fmt::format(
        "question '{}' is too long: its {} tokens alone are {} more than the {} of "
        "{}'s context",
        q.id, q.tokens, q.tokens - model.context, model.context, model.name);
  }
  return fmt::format(
      "question '{}' is too long: its {} tokens after the {} of the document are {} "
      "more than the {} of {}'s context",
      q.id, q.tokens, taken, all - model.context, model.context, model.name);
}

void check_questions(const ModelConfig& model, const JobDemand& demand) {
  const std::size_t taken = taken_positions(model, demand, demand.prefix_tokens);
  std::string problems;
  bool too_long = false;
  for (const QuestionShape& q : demand.questions) {
    VARVE_CHECK(q.max_tokens >= 1, "question '{}' may have no answer", q.id);
    const std::string problem = question_problem(model, taken, q);
    if (problem.empty()) continue;
    problems += (problems.empty() ? "" : "\n") + problem;
    too_long = too_long || q.tokens > 0;
  }
  if (problems.empty()) return;
  throw ConfigError(too_long ? problems + "\n" + beyond_context(demand.policy) : problems);
}

void check_ranks(const ModelConfig& model, const PlanOptions& options) {
  VARVE_CHECK(options.ranks >= 1, "a plan for {} ranks", options.ranks);
  if (options.ranks > model.layers) {
    throw PlanError(
        fmt::format("{} ranks for the {} layers of {}: a rank needs at least one layer, so start "
                    "at most {}",
                    options.ranks, model.layers, model.name, model.layers));
  }
  if (!options.cut) return;
  const std::string problem = cut_problem(*options.cut, model.layers, options.ranks);
  if (problem.empty()) return;
  throw ConfigError(fmt::format("the cut {} is wrong: {}", to_string(*options.cut), problem));
}

// One attempt at a job: a number of questions at a time, and the cut for it.
class Attempt {
 public:
  Attempt(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
          const PlanOptions& options, std::size_t parallel)
      : shape_(shape_of(model, demand, demand.prefix_tokens, parallel)) {
    std::vector<std::size_t> prompts, answers;
    for (std::size_t i = 0; i < demand.questions.size(); ++i) {
      prompts.push_back(demand.questions[i].tokens);
      answers.push_back(shape_.questions[i].answer + 1);
    }
    work_ = job_work(model, shape_, prompts, answers, options.ranks);
    const CostModel cost(model, weights, work_, options.rates);
    const PriceTable bytes = price_bytes(model, weights, shape_);
    prices_.emplace(model.layers, [&](LayerRange range) {
      return StagePrice{cost.seconds(range), bytes.at(range).bytes};
    });
    automatic_ = fastest_cut(*prices_, options.ranks, options.memory_limit);
    cut_ = options.cut ? options.cut : automatic_;
    if (options.cut && options.memory_limit &&
        largest_bytes(*prices_, *cut_) > *options.memory_limit) {
      cut_.reset();
    }
  }

  const JobShape& shape() const { return shape_; }
  const JobWork& work() const { return work_; }
  const std::optional<std::vector<LayerRange>>& cut() const { return cut_; }
  const std::optional<std::vector<LayerRange>>& automatic() const { return automatic_; }
  double seconds(LayerRange range) const { return prices_->at(range).seconds; }
  double slowest(const std::vector<LayerRange>& cut) const {
    double most = 0;
    for (const LayerRange& r : cut) most = std::max(most, seconds(r));
    return most;
  }

 private:
  JobShape shape_;
  JobWork work_;
  std::optional<PriceTable> prices_;
  std::optional<std::vector<LayerRange>> automatic_;
  std::optional<std::vector<LayerRange>> cut_;
};

// The questions at a time that the plan is for, the most that fit if the job leaves it open.
Attempt choose(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
               const PlanOptions& options) {
  const std::size_t questions = std::max<std::size_t>(demand.questions.size(), 1);
  const std::size_t most = std::min(demand.parallel.value_or(kMostParallel), questions);
  const std::size_t least = demand.parallel ? most : 1;
  for (std::size_t parallel = most; parallel >= least; --parallel) {
    Attempt attempt(model, weights, demand, options, parallel);
    if (attempt.cut()) return attempt;
  }
  throw PlanError(Fit(model, weights, demand, options).shortfall(least));
}

void note_answers(const JobDemand& demand, const JobShape& shape, Plan& plan) {
  for (std::size_t i = 0; i < demand.questions.size(); ++i) {
    const QuestionShape& q = demand.questions[i];
    const std::size_t answer = shape.questions[i].answer + 1;
    if (answer == q.max_tokens) continue;
    plan.notes.push_back(
        fmt::format("the answer to '{}' ends at {} tokens, where the context does; {} were asked "
                    "for",
                    q.id, answer, q.max_tokens));
  }
}

void note_choices(const JobDemand& demand, const PlanOptions& options, const Attempt& attempt,
                  Plan& plan) {
  const std::size_t parallel = attempt.shape().parallel;
  if (!demand.parallel && parallel < std::min(demand.questions.size(), kMostParallel)) {
    plan.notes.push_back(fmt::format("{} of {} questions at a time: more do not fit the memory",
                                     parallel, demand.questions.size()));
  }
  if (!options.cut || !attempt.automatic()) return;
  const double share = attempt.slowest(*attempt.automatic()) / attempt.slowest(*attempt.cut());
  if (share > 0.95) return;
  plan.notes.push_back(fmt::format("the cut was given; {} would take about {:.0f} % of its time",
                                   to_string(*attempt.automatic()), 100 * share));
}

void fill_pipeline(const ModelConfig& model, const Attempt& attempt, Plan& plan) {
  const JobShape& shape = attempt.shape();
  plan.chunks = prefix_steps(shape);
  const auto turns = static_cast<double>(std::max<std::size_t>(plan.chunks, 1));
  plan.fill = turns / (turns + static_cast<double>(plan.ranks.size()) - 1);
  const double rows = attempt.work().prefill_rows + attempt.work().decode_rows;
  const std::size_t longest_chunk = std::min(shape.chunk, shape.prefix_rows);
  plan.boundary_chunk = boundary_bytes(model, longest_chunk);
  plan.boundary_job = boundary_bytes(model, static_cast<std::size_t>(rows));
}

void fill_kept(const CachePlan& caches, Plan& plan) {
  plan.kept.rows = caches.budget();
  if (plan.shape.prefix_rows > 0) {
    plan.kept.percent =
        100 * static_cast<double>(caches.budget()) / static_cast<double>(plan.shape.prefix_rows);
  }
  plan.kept.bytes = caches.kept({0, plan.layers});
  plan.kv_is_exact = caches.is_exact();
  plan.plain_slots = caches.plain_slots();
}

void fill_limit(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
                const PlanOptions& options, Plan& plan) {
  plan.limit = options.memory_limit;
  plan.limit_source = options.limit_source;
  if (!options.memory_limit || demand.document_tokens == 0) return;
  const Fit fit(model, weights, demand, options);
  plan.largest_document = fit.largest_document(plan.shape.parallel);
  if (plan.largest_document) {
    plan.document_bound = fit.bound_of(*plan.largest_document, plan.shape.parallel);
  }
}

}  // namespace

std::vector<LayerRange> Plan::stages() const {
  std::vector<LayerRange> stages;
  for (const RankPlan& r : ranks) stages.push_back(r.layers);
  return stages;
}

Plan make_plan(const ModelConfig& model, const WeightBytes& weights, const JobDemand& demand,
               const PlanOptions& options) {
  VARVE_CHECK(weights.layer.size() == model.layers, "weights of {} layers for a model of {}",
              weights.layer.size(), model.layers);
  VARVE_CHECK(demand.document_tokens <= demand.prefix_tokens && demand.chunk >= 1 &&
                  demand.in_flight >= 1 && demand.parallel.value_or(1) >= 1,
              "{} of {} prefix tokens, chunk {}, in flight {}, parallel {}", demand.document_tokens,
              demand.prefix_tokens, demand.chunk, demand.in_flight, demand.parallel.value_or(1));
  check_policy(model, demand, options);
  check_prefix(model, demand);
  check_questions(model, demand);
  check_ranks(model, options);
  const Attempt attempt = choose(model, weights, demand, options);

  Plan plan;
  plan.model = model.name;
  plan.layers = model.layers;
  plan.kv_heads = model.kv_heads;
  plan.head_dim = model.head_dim;
  plan.shape = attempt.shape();
  plan.row_bytes = segment_bytes(model, 1, demand.kv_dtype);
  const CachePlan caches(model, plan.shape);
  const double slowest = attempt.slowest(*attempt.cut());
  for (const LayerRange& r : *attempt.cut()) {
    plan.ranks.push_back({r, footprint(model, weights, r, plan.shape, caches), caches.answering(r),
                          slowest > 0 ? attempt.seconds(r) / slowest : 1});
  }
  fill_kept(caches, plan);
  fill_pipeline(model, attempt, plan);
  fill_limit(model, weights, demand, options, plan);
  note_answers(demand, plan.shape, plan);
  note_choices(demand, options, attempt, plan);
  return plan;
}

}  // namespace varve
