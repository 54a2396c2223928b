#include "tests/coordinator/schedule/pipeline_model.h"

#include <algorithm>

namespace varve::test {

std::int32_t model_token(std::uint32_t sequence, std::uint32_t position) {
  std::uint64_t x = (std::uint64_t{sequence} << 32 | position) * 0x9e3779b97f4a7c15U;
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9U;
  return static_cast<std::int32_t>((x >> 40) % 40);
}

void Recorder::on_prefix_rows(std::size_t done, std::size_t total) {
  prefix_rows.emplace_back(done, total);
}

bool Recorder::on_token(std::size_t question, const SampledToken& token) {
  answers[question].push_back(token.token);
  return !enough || answers[question].size() < *enough;
}

void Recorder::on_finished(std::size_t question, FinishReason reason) {
  reasons[question] = reason;
  finished.push_back(question);
}

PipelineModel::PipelineModel(const BatchJob& job, const PipelineSpec& spec)
    : job_(job),
      spec_(spec),
      random_(spec.seed),
      recorder_(job.questions.size()),
      checker_(job_),
      batcher_(job, recorder_),
      links_(spec.stages),
      at_work_(spec.stages),
      until_(spec.stages),
      busy_(spec.stages),
      decode_busy_(spec.stages) {}

bool PipelineModel::is_decode(const Step& step) const {
  const auto is_answer = [this](const SequenceRows& r) {
    if (r.sequence == 0) return false;
    return r.begin >= job_.prefix.size() + job_.questions[r.sequence - 1].tokens.size();
  };
  return step.kind == StepKind::kRows && std::all_of(step.rows.begin(), step.rows.end(), is_answer);
}

void PipelineModel::run() {
  std::size_t idle = 0;
  while (!ended_ && problem().empty()) {
    moved_ = false;
    bool changed = true;
    while (changed) {
      changed = false;
      for (std::size_t stage = 0; stage < spec_.stages; ++stage) changed |= advance(stage);
    }
    ++now_;
    idle = moved_ ? 0 : idle + 1;
    if (idle > spec_.most_delay + 2) stuck_ = "nothing moves any more";
  }
  checker_.expect_end();
}

std::string PipelineModel::problem() const {
  return checker_.problem().empty() ? stuck_ : checker_.problem();
}

// The first stage looks for results before each step, as the real one does.
void PipelineModel::hear() {
  std::vector<Result> due;
  const auto is_due = [this](const Result& r) { return r.due <= now_; };
  std::copy_if(results_.begin(), results_.end(), std::back_inserter(due), is_due);
  results_.erase(std::remove_if(results_.begin(), results_.end(), is_due), results_.end());
  if (!spec_.in_order) std::shuffle(due.begin(), due.end(), random_);
  for (const Result& r : due) {
    checker_.heard(r.result);
    decode_flights_.erase(r.result.step);
    batcher_.on_result(r.result);
    moved_ = true;
  }
}

bool PipelineModel::take(std::size_t stage, Step& step) {
  if (stage > 0) {
    if (links_[stage].empty()) return false;
    step = links_[stage].front();
    links_[stage].pop_front();
    return true;
  }
  hear();
  if (source_ended_ || !batcher_.next(step)) return false;
  source_ended_ = step.kind == StepKind::kStop;
  checker_.take(step);
  log_.push_back(step);
  if (is_decode(step)) {
    if (decode_begin_ == 0) decode_begin_ = now_;
    decode_flights_[step.id] = true;
    most_decode_flights_ = std::max(most_decode_flights_, decode_flights_.size());
  }
  return true;
}

// Whatever a stage can do in this tick: let the step at work leave if it is done, and take another.
// Rows take a tick, the rest no time.
bool PipelineModel::advance(std::size_t stage) {
  if (at_work_[stage]) {
    if (until_[stage] > now_) return false;
    leave(stage);
    return !at_work_[stage];
  }
  Step step;
  if (!take(stage, step)) return false;
  moved_ = true;
  const bool has_rows = step.kind == StepKind::kRows;
  until_[stage] = now_ + (has_rows ? 1 : 0);
  busy_[stage] += has_rows ? 1 : 0;
  decode_busy_[stage] += is_decode(step) ? 1 : 0;
  at_work_[stage] = std::move(step);
  return true;
}

void PipelineModel::leave(std::size_t stage) {
  const Step& step = *at_work_[stage];
  if (stage + 1 < spec_.stages) {
    if (links_[stage + 1].size() >= spec_.in_flight) return;
    links_[stage + 1].push_back(step);
  } else {
    sample(step);
    ended_ = step.kind == StepKind::kStop;
  }
  moved_ = true;
  at_work_[stage].reset();
}

void PipelineModel::sample(const Step& step) {
  Result result;
  result.result.step = step.id;
  for (const SequenceRows& r : step.rows) {
    if (!r.sample) continue;
    const std::uint32_t position = r.begin + r.count - 1;
    result.result.tokens.push_back({r.sequence, position, model_token(r.sequence, position), 0});
  }
  if (result.result.tokens.empty()) return;
  result.due = now_ + (spec_.most_delay == 0 ? 0 : random_() % (spec_.most_delay + 1));
  results_.push_back(result);
}

}  // namespace varve::test
