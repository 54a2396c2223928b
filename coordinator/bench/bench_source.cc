#include "coordinator/bench/bench_source.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/split_mix.h"

namespace varve {
namespace {

// `prompt`: how many of its rows are read, before those that are generated.
Step open_step(std::uint32_t sequence, std::optional<std::uint32_t> parent, std::uint32_t rows,
               std::uint32_t prompt) {
  Step step;
  step.kind = StepKind::kOpen;
  step.sequence = sequence;
  step.parent = parent.value_or(kNoSequence);
  step.capacity = rows;
  step.prompt_rows = prompt;
  return step;
}

Step release_step(std::uint32_t sequence) {
  Step step;
  step.kind = StepKind::kRelease;
  step.sequence = sequence;
  return step;
}

}  // namespace

std::uint32_t decode_groups(const BenchCase& c, std::uint32_t stages) {
  return std::min(c.sequences, stages);
}

BenchSource::BenchSource(BenchRun run, Clock clock, OnCase on_case)
    : run_(std::move(run)),
      clock_(std::move(clock)),
      on_case_(std::move(on_case)),
      seconds_(run_.cases.size()) {
  VARVE_CHECK(run_.repetitions >= 1 && run_.chunk >= 1 && run_.stages >= 1 && run_.vocab >= 1,
              "repetitions {}, chunk {}, stages {}, vocabulary {}", run_.repetitions, run_.chunk,
              run_.stages, run_.vocab);
  for (const BenchCase& c : run_.cases) {
    VARVE_CHECK(c.tokens >= 1 && c.sequences >= 1 && c.sequences <= run_.chunk, "{} in steps of {}",
                name_of(c), run_.chunk);
  }
}

bool BenchSource::next(Step& step) {
  if (planned_.empty()) plan_more();
  Planned& first = planned_.front();
  if (first.after && awaited_.contains(*first.after)) return false;
  if (first.begins) repetition_->begin = clock_();
  step = std::move(first.step);
  planned_.pop_front();
  const bool samples =
      std::any_of(step.rows.begin(), step.rows.end(), [](const auto& r) { return r.sample; });
  if (samples) awaited_.insert(step.id);
  return true;
}

void BenchSource::on_result(const StepResult& result) {
  VARVE_CHECK(awaited_.erase(result.step) == 1, "a result of step {}, which awaits none",
              result.step);
  if (!repetition_ || repetition_->last_steps.erase(result.step) == 0) return;
  if (!repetition_->last_steps.empty()) return;
  const std::chrono::duration<double> taken = clock_() - repetition_->begin;
  if (repetition_->counts) seconds_[repetition_->of].push_back(taken.count());
  repetition_.reset();
}

// The next repetition, with what it needs before; or the end.
void BenchSource::plan_more() {
  VARVE_CHECK(!stop_planned_, "asked for a step after the last one, {}", next_id_ - 1);
  const std::uint32_t warm_ups = run_.warm_up ? 1 : 0;
  if (case_ < run_.cases.size() && repeated_ == run_.repetitions + warm_ups) {
    ++case_;
    repeated_ = 0;
  }
  if (case_ == run_.cases.size()) {
    plan_prefix_end();
    plan(Step{});
    stop_planned_ = true;
    return;
  }
  const BenchCase& c = run_.cases[case_];
  if (repeated_ == 0) {
    if (on_case_) on_case_(c);
    if (case_ == 0 || run_.cases[case_ - 1].depth != c.depth) plan_prefix(c.depth);
  }
  plan_repetition(case_, repeated_ >= warm_ups);
  ++repeated_;
}

void BenchSource::plan_prefix(std::uint32_t depth) {
  plan_prefix_end();
  if (depth == 0) return;
  prefix_ = next_sequence_++;
  plan(open_step(*prefix_, {}, depth, depth));
  for (std::uint32_t at = 0; at < depth; at += run_.chunk) {
    const std::uint32_t count = std::min(run_.chunk, depth - at);
    prefix_read_ = plan_rows(*prefix_, at, count, at + count == depth, false);
  }
}

void BenchSource::plan_prefix_end() {
  if (prefix_) plan(release_step(*prefix_));
  prefix_.reset();
  prefix_read_.reset();
}

void BenchSource::plan_repetition(std::size_t of, bool counts) {
  VARVE_CHECK(!repetition_, "a repetition of case {} within another", of);
  const BenchCase& c = run_.cases[of];
  const std::uint32_t first = next_sequence_;
  next_sequence_ += c.sequences;
  for (std::uint32_t i = 0; i < c.sequences; ++i) {
    const bool reads = c.kind == BenchCase::Kind::kPrompt;
    plan(open_step(first + i, prefix_, c.tokens, reads ? c.tokens : 0), prefix_read_);
  }
  Repetition& repetition =
      repetition_.emplace(Repetition{.of = of, .counts = counts, .begin = {}, .last_steps = {}});
  if (c.kind == BenchCase::Kind::kPrompt) {
    plan_prompt(c, first, repetition);
  } else {
    plan_generate(c, first, repetition);
  }
  const std::set<std::uint64_t> last = repetition.last_steps;
  // All of them: the next repetition must find the pipeline empty.
  auto result = last.begin();
  for (std::uint32_t i = 0; i < c.sequences; ++i) {
    plan(release_step(first + i), *result);
    if (std::next(result) != last.end()) ++result;
  }
}

void BenchSource::plan_prompt(const BenchCase& c, std::uint32_t sequence, Repetition& repetition) {
  for (std::uint32_t at = 0; at < c.tokens; at += run_.chunk) {
    const std::uint32_t count = std::min(run_.chunk, c.tokens - at);
    const bool last = at + count == c.tokens;
    const std::uint64_t id = plan_rows(sequence, c.depth + at, count, last, at == 0);
    if (last) repetition.last_steps.insert(id);
  }
}

void BenchSource::plan_generate(const BenchCase& c, std::uint32_t first, Repetition& repetition) {
  const std::uint32_t groups = decode_groups(c, run_.stages);
  std::vector<std::optional<std::uint64_t>> before(groups);
  for (std::uint32_t i = 0; i < c.tokens; ++i) {
    for (std::uint32_t group = 0; group < groups; ++group) {
      Step step;
      step.kind = StepKind::kRows;
      // Group g has the sequences g, g + groups, ...: sizes differ by one at most.
      for (std::uint32_t lane = group; lane < c.sequences; lane += groups) {
        step.rows.push_back(
            {.sequence = first + lane, .begin = c.depth + i, .count = 1, .sample = true});
        step.tokens.push_back(token(lane, c.depth + i));
      }
      before[group] = plan(std::move(step), before[group], i == 0 && group == 0);
    }
  }
  for (const auto& last : before) repetition.last_steps.insert(*last);
}

std::uint64_t BenchSource::plan(Step step, std::optional<std::uint64_t> after, bool begins) {
  step.id = next_id_++;
  planned_.push_back({std::move(step), after, begins});
  return next_id_ - 1;
}

std::uint64_t BenchSource::plan_rows(std::uint32_t sequence, std::uint32_t begin,
                                     std::uint32_t count, bool sample, bool begins) {
  Step step;
  step.kind = StepKind::kRows;
  step.rows = {{.sequence = sequence, .begin = begin, .count = count, .sample = sample}};
  for (std::uint32_t i = 0; i < count; ++i) step.tokens.push_back(token(0, begin + i));
  return plan(std::move(step), {}, begins);
}

std::int32_t BenchSource::token(std::uint32_t lane, std::uint32_t position) const {
  const std::uint64_t at = std::uint64_t{lane} << 32U | position;
  return static_cast<std::int32_t>(split_mix(split_mix(run_.seed) ^ at) % run_.vocab);
}

}  // namespace varve
