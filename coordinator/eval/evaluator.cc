#include "coordinator/eval/evaluator.h"

#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "coordinator/eval/held_bytes.h"

namespace varve {

Evaluator::Evaluator(EvalSetting setting, SampleLog& log, OnResult on_result)
    : setting_(std::move(setting)),
      log_(log),
      on_result_(std::move(on_result)),
      policies_(run_policies(setting_.matrix)) {
  for (const Cell& cell : cells_of(setting_.matrix)) {
    keys_.push_back(cell_key(setting_.basis, setting_.matrix, cell));
    for (std::uint64_t i = 0; i < setting_.matrix.samples; ++i) done_ += log_.has(keys_.back(), i);
  }
  total_ = keys_.size() * setting_.matrix.samples;
}

const std::string& Evaluator::key(std::size_t task, std::size_t length, std::size_t policy) const {
  const EvalMatrix& m = setting_.matrix;
  return keys_[(task * m.lengths.size() + length) * m.policies.size() + policy];
}

Evaluator::Place Evaluator::place_of(std::uint64_t unit) const {
  const EvalMatrix& m = setting_.matrix;
  const std::size_t documents = m.tasks.size() * m.lengths.size();
  const std::size_t document = unit % documents;
  return {document / m.lengths.size(), document % m.lengths.size(), unit / documents};
}

// Policies of the matrix without this sample.
std::vector<std::size_t> Evaluator::missing(const Place& place) const {
  std::vector<std::size_t> list;
  for (std::size_t p = 0; p < setting_.matrix.policies.size(); ++p) {
    if (!log_.has(key(place.task, place.length, p), place.sample)) list.push_back(p);
  }
  return list;
}

BuiltSample Evaluator::build(const Place& place) const {
  const EvalMatrix& m = setting_.matrix;
  return setting_.builder.build(m.tasks[place.task], m.lengths[place.length], place.sample);
}

std::vector<EvalShape> Evaluator::check_samples() const {
  std::vector<EvalShape> shapes;
  for (std::size_t task = 0; task < setting_.matrix.tasks.size(); ++task) {
    for (std::size_t length = 0; length < setting_.matrix.lengths.size(); ++length) {
      build({task, length, 0});
      shapes.push_back(shape_of(task, length));
    }
  }
  return shapes;
}

void Evaluator::check_scored(const std::string& task,
                             const std::vector<EvalQuestion>& questions) const {
  for (const EvalQuestion& q : questions) {
    if (q.scored.size() < setting_.chunk) continue;
    throw ConfigError(fmt::format(
        "prefill.chunk: {} rows are too few for {}, which scores {} tokens in one step; it must be "
        "more than those",
        setting_.chunk, task, q.scored.size()));
  }
}

EvalShape Evaluator::shape_of(std::size_t task, std::size_t length) const {
  const EvalMatrix& m = setting_.matrix;
  EvalShape shape;
  for (std::uint64_t i = 0; i < m.samples; ++i) {
    const auto asked = setting_.builder.ask(m.tasks[task], m.lengths[length], i);
    check_scored(m.tasks[task].name, asked.questions);
    shape.document = std::max(shape.document, asked.room);
    const std::vector<OwnRows> rows = own_rows(asked.questions);
    shape.questions.resize(std::max(shape.questions.size(), rows.size()));
    shape.probes.resize(shape.questions.size());
    for (std::size_t q = 0; q < rows.size(); ++q) {
      OwnRows& most = shape.questions[q];
      most = {std::max(most.prompt, rows[q].prompt), std::max(most.answer, rows[q].answer)};
      const auto probe = static_cast<std::uint32_t>(asked.questions[q].probe.size());
      shape.probes[q] = std::max(shape.probes[q], probe);
    }
  }
  return shape;
}

bool Evaluator::next_unit(EvalUnit& unit) {
  const EvalMatrix& m = setting_.matrix;
  const std::uint64_t units = m.samples * m.tasks.size() * m.lengths.size();
  for (; next_ < units; ++next_) {
    const Place place = place_of(next_);
    const std::vector<std::size_t> policies = missing(place);
    if (policies.empty()) continue;
    sample_ = build(place);
    unit.id = next_++;
    unit.document = sample_.document;
    unit.questions = sample_.questions;
    for (const std::size_t p : policies) unit.policies.push_back(policies_.index[p]);
    return true;
  }
  return false;
}

void Evaluator::on_outcome(const EvalOutcome& outcome) {
  for (std::size_t p = 0; p < policies_.index.size(); ++p) {
    if (policies_.index[p] != outcome.policy) continue;
    const SampleResult result = judged(outcome, p);
    log_.add(result);
    ++done_;
    if (on_result_) on_result_(result, done_, total_);
    return;
  }
  VARVE_CHECK(false, "an outcome of policy {}", outcome.policy);
}

SampleResult Evaluator::judged(const EvalOutcome& outcome, std::size_t policy) const {
  const EvalMatrix& m = setting_.matrix;
  const Place place = place_of(outcome.unit);
  const TaskChoice& task = m.tasks[place.task];
  const HeldBytes held = held_bytes(m.policies[policy], setting_.model, setting_.kv_dtype,
                                    setting_.chunk, sample_.document.size(), sample_.questions);
  SampleResult result{.key = key(place.task, place.length, policy),
                      .task = task_label(find_eval_task(task.name), task.params),
                      .length = m.lengths[place.length],
                      .policy = policy_label(m.policies[policy]),
                      .budget = to_string(m.policies[policy].budget),
                      .sample = place.sample,
                      .document_tokens = sample_.document.size(),
                      .kept_rows = held.rows,
                      .peak_bytes = held.peak,
                      .after_bytes = held.after,
                      .rows = outcome.rows,
                      .seconds = outcome.seconds,
                      .read_seconds = outcome.read_seconds,
                      .questions = {}};
  for (std::size_t i = 0; i < outcome.answers.size(); ++i) {
    result.questions.push_back(score(i, outcome.answers[i]));
  }
  return result;
}

QuestionScore Evaluator::score(std::size_t question, const EvalAnswer& answer) const {
  QuestionScore score{
      .expected = sample_.texts[question].expected,
      .answer = {},
      .right = false,
      .tokens = answer.tokens.size(),
      .logprob = std::accumulate(answer.logprobs.begin(), answer.logprobs.end(), 0.0)};
  if (!sample_.questions[question].scored.empty()) return score;
  score.answer = setting_.tokenizer.decode(answer.tokens);
  score.right = names(score.answer, score.expected);
  return score;
}

}  // namespace varve
