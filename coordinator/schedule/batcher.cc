#include "coordinator/schedule/batcher.h"

#include <algorithm>
#include <numeric>

#include "common/error.h"
#include "common/plan/question.h"

namespace varve {
namespace {

constexpr std::uint32_t kPrefixSequence = 0;

std::uint32_t sequence_of(std::size_t question) {
  return static_cast<std::uint32_t>(question) + 1;
}

std::size_t ceil_div(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}

}  // namespace

std::string_view to_string(FinishReason reason) {
  return reason == FinishReason::kStop ? "stop" : "length";
}

Batcher::Batcher(BatchJob job, BatcherListener& listener)
    : job_(std::move(job)), listener_(listener), unfinished_(job_.questions.size()) {
  VARVE_CHECK(job_.saved_rows == 0 || job_.saved_rows < job_.prefix.size(), "{} of {} rows saved",
              job_.saved_rows, job_.prefix.size());
  VARVE_CHECK(job_.save_every == 0 ||
                  (job_.compaction.period > 0 && job_.save_every % job_.compaction.period == 0),
              "saves every {} rows, compactions every {}", job_.save_every, job_.compaction.period);
  VARVE_CHECK(job_.chunk >= 1 && job_.parallel >= 1 && job_.stages >= 1,
              "chunk {}, parallel {}, stages {}", job_.chunk, job_.parallel, job_.stages);
  for (const BatchQuestion& q : job_.questions) {
    VARVE_CHECK(!q.tokens.empty() && q.max_tokens >= 1, "{} tokens, answer of at most {}",
                q.tokens.size(), q.max_tokens);
    const std::size_t limit = answer_limit(job_.taken.value_or(job_.prefix.size()), q.tokens.size(),
                                           q.max_tokens, job_.context);
    questions_.push_back(
        {.capacity = static_cast<std::uint32_t>(question_rows(q.tokens.size(), limit)),
         .limit = static_cast<std::uint32_t>(limit)});
  }
  waiting_.resize(questions_.size());
  std::iota(waiting_.begin(), waiting_.end(), std::size_t{0});
  std::stable_sort(waiting_.begin(), waiting_.end(), [this](std::size_t a, std::size_t b) {
    return questions_[a].capacity > questions_[b].capacity;
  });
}

bool Batcher::next(Step& step) {
  VARVE_CHECK(!stopped_, "asked for step {} after the last one", next_id_);
  report_prefix();
  step = Step{};
  // The last question that makes a copy of the document's rows then holds the only reference to
  // them, and they go layer by layer.
  const bool early = job_.compaction.question;
  const bool found = open_prefix(step) || load_prefix(step) || save_prefix(step) ||
                     read_prefix(step) || compact_prefix(step) || (early && release_prefix(step)) ||
                     compact_question(step) || release_question(step) || release_prefix(step) ||
                     open_question(step) || run_rows(step) || close(step);
  if (found) step.id = next_id_++;
  return found;
}

// Being asked for a step means that the first stage is done with the one before.
void Batcher::report_prefix() {
  if (prefix_reported_ == prefix_sent_) return;
  prefix_reported_ = prefix_sent_;
  listener_.on_prefix_rows(prefix_reported_, job_.prefix.size());
}

bool Batcher::open_prefix(Step& step) {
  if (prefix_open_ || prefix_sent_ == job_.prefix.size()) return false;
  prefix_open_ = true;
  step.kind = StepKind::kOpen;
  step.sequence = kPrefixSequence;
  step.policy = job_.policy;
  step.capacity = static_cast<std::uint32_t>(job_.prefix.size());
  step.prompt_rows = step.capacity;
  step.questions = static_cast<std::uint32_t>(job_.probes.size());
  return true;
}

bool Batcher::load_prefix(Step& step) {
  if (job_.saved_rows == 0 || prefix_sent_ > 0) return false;
  prefix_sent_ = prefix_saved_ = prefix_reported_ = job_.saved_rows;
  step.kind = StepKind::kLoad;
  step.sequence = kPrefixSequence;
  return true;
}

// Not at the end: what is left then is short.
bool Batcher::save_prefix(Step& step) {
  if (job_.save_every == 0 || prefix_sent_ == prefix_saved_) return false;
  if (prefix_sent_ % job_.save_every != 0 || prefix_sent_ == job_.prefix.size()) return false;
  prefix_saved_ = prefix_sent_;
  step.kind = StepKind::kSave;
  step.sequence = kPrefixSequence;
  return true;
}

// While a save is under way no other step is handed out, so it is of what was sent.
void Batcher::on_saved(std::vector<std::vector<std::byte>> parts) {
  listener_.on_saved(prefix_saved_, std::move(parts));
}

bool Batcher::read_prefix(Step& step) {
  std::size_t count = std::min<std::size_t>(job_.chunk, job_.prefix.size() - prefix_sent_);
  if (count == 0) return false;
  if (const std::size_t period = job_.compaction.period; period > 0) {
    count = std::min(count, period - prefix_sent_ % period);
  }
  const auto first = job_.prefix.begin() + static_cast<std::ptrdiff_t>(prefix_sent_);
  step.kind = StepKind::kRows;
  step.rows = {{.sequence = kPrefixSequence,
                .begin = static_cast<std::uint32_t>(prefix_sent_),
                .count = static_cast<std::uint32_t>(count)}};
  step.tokens.assign(first, first + static_cast<std::ptrdiff_t>(count));
  prefix_sent_ += count;
  const std::size_t period = job_.compaction.period;
  const bool compacts = period > 0 && prefix_sent_ % period == 0;
  if (compacts || prefix_sent_ == job_.prefix.size()) add_probes(step);
  return true;
}

void Batcher::add_probes(Step& step) const {
  for (const std::vector<std::int32_t>& probe : job_.probes) {
    step.rows.push_back({.sequence = kPrefixSequence,
                         .begin = static_cast<std::uint32_t>(prefix_sent_),
                         .count = static_cast<std::uint32_t>(probe.size()),
                         .probe = true});
    step.tokens.insert(step.tokens.end(), probe.begin(), probe.end());
  }
}

bool Batcher::compact_prefix(Step& step) {
  if (!job_.compaction.document || !prefix_open_ || prefix_compacted_) return false;
  prefix_compacted_ = true;
  step.kind = StepKind::kCompact;
  step.sequence = kPrefixSequence;
  return true;
}

bool Batcher::compact_question(Step& step) {
  if (loose_.empty()) return false;
  step.kind = StepKind::kCompact;
  step.sequence = sequence_of(loose_.front());
  loose_.pop_front();
  return true;
}

// Where questions have compacted copies, the whole document need not outlive the last reader.
bool Batcher::release_prefix(Step& step) {
  const bool wanted =
      job_.compaction.question ? !waiting_.empty() || !unread_.empty() : unfinished_ > 0;
  if (!prefix_open_ || wanted) return false;
  prefix_open_ = false;
  step.kind = StepKind::kRelease;
  step.sequence = kPrefixSequence;
  return true;
}

bool Batcher::release_question(Step& step) {
  if (finished_.empty()) return false;
  step.kind = StepKind::kRelease;
  step.sequence = sequence_of(finished_.front());
  finished_.pop_front();
  --open_;
  return true;
}

bool Batcher::open_question(Step& step) {
  if (waiting_.empty() || open_ == job_.parallel) return false;
  const std::size_t question = waiting_.front();
  waiting_.pop_front();
  unread_.push_back(question);
  ++open_;
  step.kind = StepKind::kOpen;
  step.sequence = sequence_of(question);
  step.parent = job_.prefix.empty() ? kNoSequence : kPrefixSequence;
  step.policy = job_.policy;
  step.question = static_cast<std::uint32_t>(question);
  step.capacity = questions_[question].capacity;
  step.prompt_rows = static_cast<std::uint32_t>(job_.questions[question].tokens.size());
  step.sampling = job_.questions[question].sampling;
  listener_.on_opened(question);
  return true;
}

bool Batcher::run_rows(Step& step) {
  const bool can_read = !unread_.empty();
  const bool can_decode = !ready_.empty() && decode_flights_ < groups();
  if (!can_read && !can_decode) return false;
  step.kind = StepKind::kRows;
  read_last_ = can_read && !(can_decode && read_last_);
  if (read_last_) {
    read_questions(step);
  } else {
    decode_group(step);
  }
  return true;
}

void Batcher::read_questions(Step& step) {
  Flight flight;
  std::size_t room = job_.chunk;
  while (room > 0 && !unread_.empty()) {
    const std::size_t question = unread_.front();
    const std::size_t left = job_.questions[question].tokens.size() - questions_[question].sent;
    const std::size_t count = std::min(room, left);
    const bool whole = count == left;
    add_rows(step, question, static_cast<std::uint32_t>(count), whole);
    room -= count;
    if (!whole) break;
    unread_.pop_front();
    if (job_.compaction.question && !job_.prefix.empty()) loose_.push_back(question);
    flight.questions.push_back(question);
  }
  if (!flight.questions.empty()) flights_.emplace(next_id_, std::move(flight));
}

// Groups for the questions that decode now. A step's rows are bounded, so a small chunk may take
// more groups than there are stages.
std::size_t Batcher::groups() const {
  return std::max(std::min<std::size_t>(job_.stages, decoding_), ceil_div(decoding_, job_.chunk));
}

// Spreads what is ready over the groups that are not under way, none above an even share.
std::size_t Batcher::group_size() const {
  const std::size_t share = ceil_div(decoding_, groups());
  return std::min(ceil_div(ready_.size(), groups() - decode_flights_), share);
}

void Batcher::decode_group(Step& step) {
  Flight flight{.questions = {}, .decode = true};
  for (std::size_t left = group_size(); left > 0; --left) {
    flight.questions.push_back(ready_.front());
    add_rows(step, ready_.front(), 1, true);
    ready_.pop_front();
  }
  ++decode_flights_;
  flights_.emplace(next_id_, std::move(flight));
}

void Batcher::add_rows(Step& step, std::size_t question, std::uint32_t count, bool sample) {
  Question& q = questions_[question];
  const std::vector<std::int32_t>& own = job_.questions[question].tokens;
  step.rows.push_back({.sequence = sequence_of(question),
                       .begin = static_cast<std::uint32_t>(job_.prefix.size()) + q.sent,
                       .count = count,
                       .sample = sample});
  if (q.sent < own.size()) {
    const auto first = own.begin() + static_cast<std::ptrdiff_t>(q.sent);
    step.tokens.insert(step.tokens.end(), first, first + static_cast<std::ptrdiff_t>(count));
  } else {
    step.tokens.push_back(q.last_token);
  }
  q.sent += count;
}

bool Batcher::close(Step& step) {
  if (unfinished_ > 0) return false;
  step.kind = StepKind::kStop;
  stopped_ = true;
  return true;
}

void Batcher::on_result(const StepResult& result) {
  const auto flight = flights_.extract(result.step);
  VARVE_CHECK(!flight.empty(), "a result of step {}, which awaits none", result.step);
  const std::vector<std::size_t>& questions = flight.mapped().questions;
  VARVE_CHECK(questions.size() == result.tokens.size(), "{} tokens of step {}, which has {}",
              result.tokens.size(), result.step, questions.size());
  if (flight.mapped().decode) {
    --decode_flights_;
  } else {
    decoding_ += questions.size();
  }
  for (std::size_t i = 0; i < questions.size(); ++i) accept(questions[i], result.tokens[i]);
}

void Batcher::accept(std::size_t question, const SampledToken& token) {
  Question& q = questions_[question];
  const std::size_t position = job_.prefix.size() + q.sent - 1;
  VARVE_CHECK(token.sequence == sequence_of(question) && token.position == position,
              "a token of sequence {} at {}, due of {} at {}", token.sequence, token.position,
              sequence_of(question), position);
  const std::vector<std::int32_t>& stops = job_.questions[question].stop_tokens;
  if (std::find(stops.begin(), stops.end(), token.token) != stops.end()) {
    finish(question, FinishReason::kStop);
    return;
  }
  ++q.answered;
  q.last_token = token.token;
  if (!listener_.on_token(question, token)) {
    finish(question, FinishReason::kStop);
  } else if (q.answered == q.limit) {
    finish(question, FinishReason::kLength);
  } else {
    ready_.push_back(question);
  }
}

void Batcher::finish(std::size_t question, FinishReason reason) {
  --decoding_;
  --unfinished_;
  finished_.push_back(question);
  listener_.on_finished(question, reason);
}

}  // namespace varve
