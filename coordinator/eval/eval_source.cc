#include "coordinator/eval/eval_source.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "coordinator/schedule/compaction_times.h"

namespace varve {
namespace {

Step sequence_step(StepKind kind, std::uint32_t sequence) {
  Step step;
  step.kind = kind;
  step.sequence = sequence;
  return step;
}

void append(const std::vector<std::int32_t>& from, std::size_t begin, std::size_t count,
            std::vector<std::int32_t>& to) {
  const auto first = from.begin() + static_cast<std::ptrdiff_t>(begin);
  to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(count));
}

// Rows that are read before the question's answer is generated or scored.
std::size_t prompt_rows(const EvalQuestion& q) {
  return q.tokens.size() - (q.scored.empty() ? 0 : 1);
}

}  // namespace

std::size_t rows_of(const EvalQuestion& q) {
  // The last token of a generated answer is never fed back.
  return q.tokens.size() + (q.scored.empty() ? q.max_tokens - 1 : q.scored.size());
}

EvalSource::EvalSource(EvalRun run, EvalListener& listener, Clock clock)
    : run_(std::move(run)), listener_(listener), clock_(std::move(clock)), charged_(clock_()) {
  VARVE_CHECK(run_.chunk >= 1 && run_.parallel >= 1 && run_.stages >= 1,
              "chunk {}, parallel {}, stages {}", run_.chunk, run_.parallel, run_.stages);
  VARVE_CHECK(!run_.policies.empty() && is_full(run_.policies.front()), "{} policies",
              run_.policies.size());
}

bool EvalSource::reads_alone(std::uint32_t policy) const {
  return compaction_times(run_.policies.at(policy)).period > 0;
}

bool EvalSource::next(Step& step) {
  VARVE_CHECK(!stopped_, "asked for step {} after the last one", next_id_);
  charge();
  if (unit_is_over() && !begin_unit()) {
    stopped_ = true;
    step = Step{};
    step.id = next_id_++;
    return true;
  }
  open_branches();
  step = Step{};
  // No answer goes on before the compaction that its question waits for.
  const bool planned_first = loose_ > 0 || !planned_last_ || ready_.empty();
  const bool found = planned_first ? take_planned(step) || decode_group(step)
                                   : decode_group(step) || take_planned(step);
  if (found) step.id = next_id_++;
  return found;
}

// --- what comes of a unit ---

bool EvalSource::unit_is_over() const {
  return planned_.empty() && waiting_.empty() && open_ == 0;
}

bool EvalSource::begin_unit() {
  unit_ = EvalUnit{};
  if (!listener_.next_unit(unit_)) return false;
  VARVE_CHECK(!unit_.document.empty() && !unit_.questions.empty() && !unit_.policies.empty(),
              "unit {}: {} tokens, {} questions, {} policies", unit_.id, unit_.document.size(),
              unit_.questions.size(), unit_.policies.size());
  for (const EvalQuestion& q : unit_.questions) {
    VARVE_CHECK(!q.tokens.empty() && q.scored.size() < run_.chunk && rows_of(q) >= q.tokens.size(),
                "{} tokens, {} scored, {} at most, in steps of {}", q.tokens.size(),
                q.scored.size(), q.max_tokens, run_.chunk);
  }
  branches_.clear();
  std::stable_partition(unit_.policies.begin(), unit_.policies.end(),
                        [this](std::uint32_t p) { return !reads_alone(p); });
  for (const std::uint32_t policy : unit_.policies) {
    waiting_.push_back(branches_.size());
    branches_.push_back({.policy = policy, .base = {}, .asked = {}});
  }
  shared_seconds_ = 0;
  if (!reads_alone(unit_.policies.front())) plan_document();
  return true;
}

void EvalSource::plan_document() {
  shared_ = next_sequence_++;
  Step open = sequence_step(StepKind::kOpen, *shared_);
  open.capacity = static_cast<std::uint32_t>(unit_.document.size());
  open.prompt_rows = open.capacity;
  const Owner owner{.branch = {}, .reads = true};
  plan(open, owner);
  plan_reading(*shared_, 0, owner);
}

// No step crosses a multiple of the policy's period, which is when it compacts.
void EvalSource::plan_reading(std::uint32_t sequence, std::uint32_t policy, Owner owner) {
  const std::uint32_t period = compaction_times(run_.policies[policy]).period;
  const bool guided = run_.policies[policy].scorer.name == "guided";
  const std::size_t total = unit_.document.size();
  for (std::size_t at = 0; at < total;) {
    std::size_t count = std::min<std::size_t>(run_.chunk, total - at);
    if (period > 0) count = std::min(count, period - at % period);
    Step step;
    step.kind = StepKind::kRows;
    step.rows = {{.sequence = sequence,
                  .begin = static_cast<std::uint32_t>(at),
                  .count = static_cast<std::uint32_t>(count)}};
    append(unit_.document, at, count, step.tokens);
    at += count;
    if (guided && (at % period == 0 || at == total)) add_probes(step, sequence, at);
    owner.rows = step.tokens.size();
    plan(std::move(step), owner);
  }
}

void EvalSource::add_probes(Step& step, std::uint32_t sequence, std::size_t at) const {
  for (const EvalQuestion& q : unit_.questions) {
    step.rows.push_back({.sequence = sequence,
                         .begin = static_cast<std::uint32_t>(at),
                         .count = static_cast<std::uint32_t>(q.probe.size()),
                         .probe = true});
    append(q.probe, 0, q.probe.size(), step.tokens);
  }
}

void EvalSource::open_branches() {
  while (!waiting_.empty() && open_ < run_.parallel) {
    const std::size_t index = waiting_.front();
    waiting_.pop_front();
    ++open_;
    plan_branch(index);
  }
}

void EvalSource::plan_branch(std::size_t index) {
  plan_base(index);
  plan_questions(index);
}

// What the branch's questions fork, if that is not the whole document.
void EvalSource::plan_base(std::size_t index) {
  Branch& branch = branches_[index];
  const CompactionTimes times = compaction_times(run_.policies[branch.policy]);
  if (!times.document) return;
  branch.base = next_sequence_++;
  Step open = sequence_step(StepKind::kOpen, *branch.base);
  open.policy = branch.policy;
  const Owner owner{.branch = index, .reads = times.period > 0};
  if (times.period > 0) {
    open.capacity = static_cast<std::uint32_t>(unit_.document.size());
    open.prompt_rows = open.capacity;
    open.questions = static_cast<std::uint32_t>(unit_.questions.size());
    plan(open, owner);
    plan_reading(*branch.base, branch.policy, owner);
  } else {
    VARVE_CHECK(shared_.has_value(), "policy {} without the whole document", branch.policy);
    open.parent = *shared_;
    plan(open, owner);
  }
  plan(sequence_step(StepKind::kCompact, *branch.base), owner);
}

void EvalSource::plan_questions(std::size_t index) {
  Branch& branch = branches_[index];
  branch.asked.resize(unit_.questions.size());
  branch.unfinished = branch.asked.size();
  const bool compacts = compaction_times(run_.policies[branch.policy]).question;
  const Owner owner{.branch = index};
  for (std::size_t i = 0; i < branch.asked.size(); ++i) {
    branch.asked[i].sequence = next_sequence_++;
    const EvalQuestion& q = unit_.questions[i];
    Step open = sequence_step(StepKind::kOpen, branch.asked[i].sequence);
    VARVE_CHECK(branch.base || shared_, "policy {} without a document", branch.policy);
    open.parent = branch.base ? *branch.base : *shared_;
    open.policy = branch.policy;
    open.question = static_cast<std::uint32_t>(i);
    open.capacity = static_cast<std::uint32_t>(rows_of(q));
    open.prompt_rows =
        q.scored.empty() ? static_cast<std::uint32_t>(q.tokens.size()) : open.capacity;
    plan(open, owner);
  }
  plan_prompts(index);
  for (std::size_t i = 0; i < branch.asked.size(); ++i) {
    if (compacts) {
      plan(sequence_step(StepKind::kCompact, branch.asked[i].sequence), owner);
      planned_.back().of_question = true;
      ++loose_;
    }
    if (!unit_.questions[i].scored.empty()) plan_scored(index, i);
  }
}

// Rows of several questions in one step, up to a chunk.
void EvalSource::plan_prompts(std::size_t index) {
  Branch& branch = branches_[index];
  Step step;
  std::vector<Which> yields;
  std::size_t room = run_.chunk;
  const auto send = [&] {
    if (step.rows.empty()) return;
    step.kind = StepKind::kRows;
    const Owner owner{.branch = index, .reads = false, .rows = run_.chunk - room};
    plan(std::exchange(step, Step{}), owner, std::exchange(yields, {}));
    room = run_.chunk;
  };
  for (std::size_t i = 0; i < branch.asked.size(); ++i) {
    const Which which{index, i};
    while (branch.asked[i].sent < prompt_rows(question(which))) {
      const std::size_t left = prompt_rows(question(which)) - branch.asked[i].sent;
      const std::size_t count = std::min(room, left);
      add_rows(step, which, static_cast<std::uint32_t>(count));
      if (count == left && question(which).scored.empty()) {
        step.rows.back().sample = true;
        yields.push_back(which);
      }
      room -= count;
      if (room == 0) send();
    }
  }
  send();
}

void EvalSource::plan_scored(std::size_t index, std::size_t i) {
  const Which which{index, i};
  Step step;
  step.kind = StepKind::kRows;
  const std::size_t count = question(which).scored.size() + 1;
  add_rows(step, which, static_cast<std::uint32_t>(count));
  step.rows.back().score = true;
  plan(std::move(step), {.branch = index, .reads = false, .rows = count}, {which});
}

void EvalSource::plan_release_of_document() {
  if (!shared_) return;
  for (const Branch& branch : branches_) {
    if (!branch.done && !reads_alone(branch.policy)) return;
  }
  plan(sequence_step(StepKind::kRelease, *shared_), {.branch = {}, .reads = true});
  shared_.reset();
}

void EvalSource::plan(Step step, Owner owner, std::vector<Which> yields) {
  planned_.push_back({std::move(step), std::move(yields), owner, false});
}

// --- steps ---

bool EvalSource::take_planned(Step& step) {
  if (planned_.empty()) return false;
  Planned& first = planned_.front();
  step = std::move(first.step);
  if (!first.yields.empty()) flights_[next_id_] = {std::move(first.yields), false};
  owners_ = {first.owner};
  if (first.of_question) --loose_;
  planned_.pop_front();
  planned_last_ = true;
  return true;
}

// A step's rows are bounded, so a small chunk may take more groups than there are stages.
std::size_t EvalSource::groups() const {
  const std::size_t needed = (decoding_ + run_.chunk - 1) / run_.chunk;
  return std::max(std::min<std::size_t>(run_.stages, decoding_), needed);
}

bool EvalSource::decode_group(Step& step) {
  if (ready_.empty() || decode_flights_ >= groups()) return false;
  // Spread what is ready over the groups that are not under way, none above an even share.
  const auto parts = [](std::size_t n, std::size_t by) { return (n + by - 1) / by; };
  const std::size_t size =
      std::min(parts(ready_.size(), groups() - decode_flights_), parts(decoding_, groups()));
  step.kind = StepKind::kRows;
  Flight flight{.yields = {}, .decode = true};
  owners_.clear();
  for (std::size_t i = 0; i < size; ++i) {
    const Which which = ready_.front();
    ready_.pop_front();
    add_rows(step, which, 1);
    step.rows.back().sample = true;
    flight.yields.push_back(which);
    owners_.push_back({.branch = which.branch});
  }
  ++decode_flights_;
  flights_[next_id_] = std::move(flight);
  planned_last_ = false;
  return true;
}

void EvalSource::add_rows(Step& step, const Which& which, std::uint32_t count) {
  Asked& a = asked(which);
  const EvalQuestion& q = question(which);
  step.rows.push_back({.sequence = a.sequence,
                       .begin = static_cast<std::uint32_t>(unit_.document.size()) + a.sent,
                       .count = count});
  for (std::uint32_t i = 0; i < count; ++i, ++a.sent) {
    if (a.sent < q.tokens.size()) {
      step.tokens.push_back(q.tokens[a.sent]);
    } else if (!q.scored.empty()) {
      step.tokens.push_back(q.scored[a.sent - q.tokens.size()]);
    } else {
      step.tokens.push_back(a.answer.tokens.back());
    }
  }
  branches_[which.branch].rows += count;
}

// --- results ---

void EvalSource::on_result(const StepResult& result) {
  charge();
  const auto found = flights_.extract(result.step);
  VARVE_CHECK(!found.empty(), "a result of step {}, which awaits none", result.step);
  const Flight& flight = found.mapped();
  if (flight.decode) --decode_flights_;
  std::size_t at = 0;
  for (const Which& which : flight.yields) {
    const std::size_t scored = question(which).scored.size();
    const std::size_t count = scored == 0 ? 1 : scored;
    VARVE_CHECK(at + count <= result.tokens.size(), "{} tokens of step {}", result.tokens.size(),
                result.step);
    if (scored == 0 && !flight.decode) ++decoding_;
    for (std::size_t i = 0; i < count; ++i, ++at) {
      if (scored == 0) {
        accept(which, result.tokens[at]);
      } else {
        accept_scored(which, result.tokens[at]);
      }
    }
    if (scored > 0) finish(which);
  }
  VARVE_CHECK(at == result.tokens.size(), "{} tokens of step {}, {} due", result.tokens.size(),
              result.step, at);
}

void EvalSource::accept(const Which& which, const SampledToken& token) {
  Asked& a = asked(which);
  const std::size_t position = unit_.document.size() + a.sent - 1;
  VARVE_CHECK(token.sequence == a.sequence && token.position == position,
              "a token of sequence {} at {}, due of {} at {}", token.sequence, token.position,
              a.sequence, position);
  const auto& stops = run_.stop_tokens;
  const bool stop = std::find(stops.begin(), stops.end(), token.token) != stops.end();
  if (!stop) {
    a.answer.tokens.push_back(token.token);
    a.answer.logprobs.push_back(token.logprob);
  }
  if (stop || a.answer.tokens.size() == question(which).max_tokens) {
    --decoding_;
    finish(which);
  } else {
    ready_.push_back(which);
  }
}

void EvalSource::accept_scored(const Which& which, const SampledToken& token) {
  Asked& a = asked(which);
  const std::size_t done = a.answer.tokens.size();
  const EvalQuestion& q = question(which);
  // Of the row before it.
  const std::size_t position = unit_.document.size() + q.tokens.size() - 1 + done;
  VARVE_CHECK(
      token.sequence == a.sequence && token.position == position && token.token == q.scored[done],
      "token {} of sequence {} at {}, due {} of {} at {}", token.token, token.sequence,
      token.position, q.scored[done], a.sequence, position);
  a.answer.tokens.push_back(token.token);
  a.answer.logprobs.push_back(token.logprob);
}

void EvalSource::finish(const Which& which) {
  Branch& branch = branches_[which.branch];
  const Owner owner{.branch = which.branch};
  plan(sequence_step(StepKind::kRelease, asked(which).sequence), owner);
  if (--branch.unfinished > 0) return;
  if (branch.base) plan(sequence_step(StepKind::kRelease, *branch.base), owner);
  branch.done = true;
  --open_;
  EvalOutcome outcome{
      .unit = unit_.id,
      .policy = branch.policy,
      .answers = {},
      .rows = branch.rows,
      .seconds = branch.seconds,
      .read_seconds = reads_alone(branch.policy) ? branch.read_seconds : shared_seconds_};
  for (Asked& a : branch.asked) outcome.answers.push_back(std::move(a.answer));
  plan_release_of_document();
  listener_.on_outcome(outcome);
}

// The time since the last call belongs to the step that was handed out last: the first stage has
// been busy with it, or nothing else was to be had until its result. Steps of several branches
// share it by their rows.
void EvalSource::charge() {
  const std::chrono::nanoseconds now = clock_();
  const std::chrono::duration<double> taken = now - charged_;
  charged_ = now;
  std::size_t rows = 0;
  for (const Owner& owner : owners_) rows += owner.rows;
  for (const Owner& owner : owners_) {
    const double seconds =
        taken.count() * static_cast<double>(owner.rows) / static_cast<double>(rows);
    if (!owner.branch) {
      shared_seconds_ += seconds;
    } else if (*owner.branch < branches_.size()) {
      Branch& branch = branches_[*owner.branch];
      (owner.reads ? branch.read_seconds : branch.seconds) += seconds;
    }
  }
}

}  // namespace varve
