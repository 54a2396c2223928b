#include "tests/coordinator/schedule/step_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace varve::test {

void StepChecker::require(bool condition, const std::string& rule) {
  if (!condition && problem_.empty()) problem_ = fmt::format("step {}: {}", next_id_, rule);
}

std::size_t StepChecker::open_rows() const {
  std::size_t rows = 0;
  for (const auto& [id, s] : open_) rows += s.capacity;
  return rows;
}

void StepChecker::take(const Step& step) {
  require(!stopped_, "comes after the last one");
  require(step.id == next_id_, "has another id");
  switch (step.kind) {
    case StepKind::kOpen:
      open(step);
      break;
    case StepKind::kRows:
      rows(step);
      break;
    case StepKind::kCompact:
      compact(step);
      break;
    case StepKind::kSave:
      save(step);
      break;
    case StepKind::kLoad:
      load(step);
      break;
    case StepKind::kRelease:
      release(step);
      break;
    case StepKind::kStop:
      stopped_ = true;
      break;
  }
  ++next_id_;
}

void StepChecker::open(const Step& step) {
  require(opened_[step.sequence]++ == 0, "opens a sequence twice");
  const bool is_question = step.sequence > 0;
  Sequence fresh;
  fresh.capacity = step.capacity;
  if (step.parent != kNoSequence) {
    require(open_.contains(step.parent), "forks a sequence that is not open");
    Sequence& parent = open_[step.parent];
    require(parent.rows == parent.capacity, "forks a sequence that is not complete");
    require(parent.compacted == job_.compaction.document, "forks a document before its compaction");
    parent.forked = true;
    fresh.base = parent.rows;
  }
  if (is_question) {
    require(step.sequence <= job_.questions.size(), "opens a question that does not exist");
    require(fresh.base == job_.prefix.size(), "opens a question that does not see the prefix");
    require(step.sampling.stream == job_.questions[step.sequence - 1].sampling.stream,
            "samples by another question's parameters");
    const std::size_t holders = open_.size() - (job_.prefix.empty() ? 0 : 1);
    require(holders < job_.parallel, "opens too many questions at a time");
  } else {
    require(step.capacity == job_.prefix.size(), "has room for another prefix");
  }
  open_[step.sequence] = fresh;
  peak_rows_ = std::max(peak_rows_, open_rows());
}

void StepChecker::save(const Step& step) {
  require(step.sequence == 0 && open_.contains(0), "saves what is no open document");
  const std::size_t rows = open_[0].rows;
  require(job_.save_every > 0 && rows > 0 && rows % job_.save_every == 0,
          "saves at another number of rows");
  const bool again = rows == job_.saved_rows || (!saved_.empty() && saved_.back() == rows);
  require(!again && rows < job_.prefix.size(), "saves what needs no saving");
  saved_.push_back(rows);
}

void StepChecker::load(const Step& step) {
  require(step.sequence == 0 && open_.contains(0), "loads what is no open document");
  require(open_[0].rows == 0, "loads a document that has rows");
  require(job_.saved_rows > 0, "loads what was not saved");
  open_[0].rows = job_.saved_rows;
}

void StepChecker::compact(const Step& step) {
  require(open_.contains(step.sequence), "compacts a sequence that is not open");
  Sequence& s = open_[step.sequence];
  require(!s.compacted, "compacts a sequence twice");
  s.compacted = true;
  if (step.sequence == 0) {
    require(job_.compaction.document, "compacts a document that is to stay whole");
    require(s.rows == s.capacity && !s.forked, "compacts a document that is not just read");
    return;
  }
  require(job_.compaction.question, "compacts for a question that does not want it");
  require(s.rows == job_.questions[step.sequence - 1].tokens.size(),
          "compacts for a question that is not just read");
}

// Whether the policy has had its turn before rows that come after it.
bool StepChecker::may_go_on(std::uint32_t sequence, const Sequence& s) const {
  if (sequence == 0 || job_.prefix.empty() || !job_.compaction.question) return true;
  return s.rows < job_.questions[sequence - 1].tokens.size() || s.compacted;
}

std::int32_t StepChecker::due_token(std::uint32_t sequence, const Sequence& s,
                                    std::size_t position) const {
  if (sequence == 0) return job_.prefix[position];
  const std::vector<std::int32_t>& own = job_.questions[sequence - 1].tokens;
  const std::size_t at = position - job_.prefix.size();
  return at < own.size() ? own[at] : s.answer;
}

void StepChecker::rows(const Step& step) {
  const std::size_t count = row_count(step);
  const auto probes = std::count_if(step.rows.begin(), step.rows.end(),
                                    [](const SequenceRows& r) { return r.probe; });
  std::size_t probed = 0;
  for (const auto& probe : job_.probes) probed += probes > 0 ? probe.size() : 0;
  require(count > probed && count - probed <= job_.chunk, "has no rows, or more than a chunk");
  require(probes == 0 || probes == static_cast<std::ptrdiff_t>(job_.probes.size()),
          "has some of the probes");
  require(step.tokens.size() == count, "has not one token per row");
  std::set<std::uint32_t> seen;
  const std::int32_t* tokens = step.tokens.data();
  std::size_t probe_index = 0;
  for (const SequenceRows& r : step.rows) {
    require(r.count >= 1, "has an empty range");
    if (r.probe) {
      probe(r, probe_index++, tokens);
    } else {
      require(seen.insert(r.sequence).second, "has two ranges of one sequence");
      range(r, tokens);
    }
    tokens += r.count;
  }
  if (probes == 0 && seen.contains(0)) {
    const Sequence& s = open_[0];
    const std::size_t period = job_.compaction.period;
    require(job_.probes.empty() || (s.rows < s.capacity && (period == 0 || s.rows % period > 0)),
            "lacks the probes before a compaction");
  }
}

void StepChecker::probe(const SequenceRows& r, std::size_t index, const std::int32_t* tokens) {
  require(r.sequence == 0 && open_.contains(0), "probes something else than the document");
  require(r.begin == open_[0].rows && !r.sample, "probes at another position");
  const std::vector<std::int32_t>& due = job_.probes[index];
  require(std::equal(due.begin(), due.end(), tokens, tokens + r.count), "probes with another text");
}

void StepChecker::range(const SequenceRows& r, const std::int32_t* tokens) {
  require(open_.contains(r.sequence), "has rows of a sequence that is not open");
  Sequence& s = open_[r.sequence];
  require(!s.forked, "adds rows to a sequence that others share");
  require(r.begin == s.base + s.rows, "leaves a gap between positions, or goes back");
  require(s.rows + r.count <= s.capacity, "exceeds a sequence's capacity");
  require(may_go_on(r.sequence, s), "decodes before the document is compacted for the question");
  if (const std::size_t period = job_.compaction.period; period > 0 && r.sequence == 0) {
    require(r.begin / period == (r.begin + r.count - 1) / period, "crosses a compaction");
  }
  const std::size_t own =
      r.sequence == 0 ? job_.prefix.size() : job_.questions[r.sequence - 1].tokens.size();
  require(s.rows + r.count <= own || r.count == 1, "decodes more than one row at a time");
  if (s.rows >= own) require(s.has_answer, "decodes before the last token is back");
  for (std::size_t i = 0; i < r.count; ++i) {
    require(tokens[i] == due_token(r.sequence, s, r.begin + i), "feeds another token");
  }
  s.rows += r.count;
  s.has_answer = false;
  s.sampled = r.sample;
  require(r.sample == (r.sequence > 0 && s.rows >= own), "samples at the wrong row");
}

void StepChecker::heard(const StepResult& result) {
  for (const SampledToken& t : result.tokens) {
    Sequence& s = open_.at(t.sequence);
    s.answer = t.token;
    s.has_answer = true;
    s.sampled = false;
  }
}

void StepChecker::release(const Step& step) {
  require(open_.contains(step.sequence), "releases a sequence that is not open");
  require(!open_[step.sequence].sampled, "releases a sequence whose token is not back");
  if (step.sequence == 0) {
    require(job_.compaction.question ? all_read() : open_.size() == 1,
            "releases the prefix before its questions");
  }
  open_.erase(step.sequence);
}

// A question's copy holds on to the rows that it was forked from.
bool StepChecker::all_read() const {
  if (opened_.size() != job_.questions.size() + 1) return false;
  return std::all_of(open_.begin(), open_.end(), [this](const auto& entry) {
    const auto& [id, s] = entry;
    return id == 0 || s.rows >= job_.questions[id - 1].tokens.size();
  });
}

void StepChecker::expect_end() {
  require(stopped_, "the pipeline was not stopped");
  require(open_.empty(), "sequences are left open");
  const std::size_t due = job_.questions.size() + (job_.prefix.empty() ? 0 : 1);
  require(opened_.size() == due, "not every question was asked");
}

}  // namespace varve::test
