// The steps of an evaluation through a pipeline that keeps the books of sequences, and answers with
// what it was told.
#include "coordinator/eval/eval_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/policy/presets.h"
#include "coordinator/schedule/compaction_times.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr std::int32_t kStop = 7;

struct Sequence {
  std::uint32_t parent = kNoSequence;
  std::uint32_t policy = 0;
  std::size_t base = 0;  // position of its first own row
  std::size_t capacity = 0;
  std::size_t prompt = 0;
  std::size_t rows = 0;
  std::vector<std::int32_t> tokens{};
  bool forked = false;
  bool compacted = false;
  std::set<std::uint64_t> awaited{};
};

// What every stage relies on, of steps in the order of entry.
class Rules {
 public:
  explicit Rules(std::vector<PolicyConfig> policies) : policies_(std::move(policies)) {}

  void take(const Step& step) {
    EXPECT_EQ(step.id, next_id_++);
    switch (step.kind) {
      case StepKind::kOpen:
        return open(step);
      case StepKind::kRows:
        return rows(step);
      case StepKind::kCompact:
        return compact(step);
      case StepKind::kRelease:
        return release(step);
      case StepKind::kStop:
        EXPECT_TRUE(open_.empty());
        EXPECT_TRUE(pending_.empty());
        return;
      case StepKind::kSave:
      case StepKind::kLoad:
        ADD_FAILURE() << "an evaluation goes on by its samples";
    }
  }
  void heard(const StepResult& result) {
    for (const std::uint32_t s : pending_.at(result.step)) open_.at(s).awaited.erase(result.step);
    pending_.erase(result.step);
  }
  const Sequence& at(std::uint32_t sequence) const { return open_.at(sequence); }
  std::size_t open_now() const { return open_.size(); }
  std::size_t most_open() const { return most_open_; }
  std::size_t most_documents() const { return most_documents_; }
  std::size_t compactions() const { return compactions_; }
  // A text of all that a sequence can see.
  std::vector<std::int32_t> seen(std::uint32_t sequence) const {
    const Sequence& s = open_.at(sequence);
    std::vector<std::int32_t> all;
    if (s.parent != kNoSequence) all = forked_.at(sequence);
    all.insert(all.end(), s.tokens.begin(), s.tokens.end());
    return all;
  }

 private:
  void open(const Step& step) {
    ASSERT_FALSE(open_.contains(step.sequence));
    ASSERT_LT(step.policy, policies_.size());
    EXPECT_LE(step.prompt_rows, step.capacity);
    Sequence s{.parent = step.parent,
               .policy = step.policy,
               .base = 0,
               .capacity = step.capacity,
               .prompt = step.prompt_rows};
    if (step.parent != kNoSequence) {
      Sequence& parent = open_.at(step.parent);
      EXPECT_EQ(parent.rows, parent.capacity) << "a fork of what is not read yet";
      parent.forked = true;
      s.base = parent.base + parent.rows;
      forked_[step.sequence] = seen(step.parent);
    } else {
      ++documents_;
      most_documents_ = std::max(most_documents_, documents_);
    }
    open_[step.sequence] = s;
    most_open_ = std::max(most_open_, open_.size());
  }
  void rows(const Step& step) {
    ASSERT_EQ(row_count(step), step.tokens.size());
    std::size_t at = 0;
    std::set<std::uint32_t> once;
    for (const SequenceRows& r : step.rows) {
      EXPECT_TRUE(once.insert(r.sequence).second);
      Sequence& s = open_.at(r.sequence);
      EXPECT_FALSE(s.forked);
      EXPECT_THAT(s.awaited, IsEmpty());
      EXPECT_EQ(r.begin, s.base + s.rows);
      const CompactionTimes times = compaction_times(policies_[s.policy]);
      if (s.parent == kNoSequence && times.period > 0) {
        EXPECT_EQ((s.rows + r.count - 1) / times.period, s.rows / times.period);
      }
      if (times.question && s.rows + r.count > s.prompt) {
        EXPECT_TRUE(s.compacted);
      }
      s.rows += r.count;
      for (std::uint32_t i = 0; i < r.count; ++i) s.tokens.push_back(step.tokens[at++]);
      EXPECT_LE(s.rows, s.capacity);
      if (r.sample || r.score) {
        s.awaited.insert(step.id);
        pending_[step.id].insert(r.sequence);
      }
      EXPECT_TRUE(!r.score || r.count >= 2);
    }
  }
  void compact(const Step& step) {
    Sequence& s = open_.at(step.sequence);
    const CompactionTimes times = compaction_times(policies_[s.policy]);
    EXPECT_FALSE(s.compacted);
    EXPECT_FALSE(s.forked);
    EXPECT_TRUE(times.document || times.question);
    if (times.document) {
      EXPECT_EQ(s.rows, s.capacity);
    }
    s.compacted = true;
    ++compactions_;
  }
  void release(const Step& step) {
    ASSERT_TRUE(open_.contains(step.sequence));
    EXPECT_THAT(open_[step.sequence].awaited, IsEmpty());
    if (open_[step.sequence].parent == kNoSequence) --documents_;
    open_.erase(step.sequence);
  }

  std::vector<PolicyConfig> policies_;
  std::map<std::uint32_t, Sequence> open_;
  std::map<std::uint32_t, std::vector<std::int32_t>> forked_;
  std::map<std::uint64_t, std::set<std::uint32_t>> pending_;
  std::uint64_t next_id_ = 0;
  std::size_t most_open_ = 0;
  std::size_t documents_ = 0;
  std::size_t most_documents_ = 0;
  std::size_t compactions_ = 0;
};

class Listener final : public EvalListener {
 public:
  explicit Listener(std::vector<EvalUnit> units) : units_(std::move(units)) {}
  bool next_unit(EvalUnit& unit) override {
    if (next_ == units_.size()) return false;
    unit = units_[next_++];
    return true;
  }
  void on_outcome(const EvalOutcome& outcome) override { outcomes.push_back(outcome); }

  std::vector<EvalOutcome> outcomes;

 private:
  std::vector<EvalUnit> units_;
  std::size_t next_ = 0;
};

// A row takes a millisecond. Results come back `lag` steps later, or when there is nothing else to
// do. What a row yields depends on all that its sequence has seen.
class Script {
 public:
  Script(EvalRun run, std::vector<EvalUnit> units, std::size_t lag = 0)
      : rules_(run.policies),
        listener_(std::move(units)),
        source_(std::move(run), listener_, [this] { return now_; }),
        lag_(lag) {}

  void play() {
    for (bool stopped = false; !stopped;) {
      while (results_.size() > lag_) deliver();
      Step step;
      while (!source_.next(step)) {
        ASSERT_FALSE(results_.empty()) << "nothing is under way, and no step is to be had";
        deliver();
      }
      rules_.take(step);
      now_ += milliseconds(row_count(step));
      answer(step);
      stopped = step.kind == StepKind::kStop;
      log_.push_back(step);
    }
  }

  // Of the text so far: the next token, never a stop before there are `kStop` of them.
  static std::int32_t next_token(const std::vector<std::int32_t>& seen) {
    std::int64_t sum = 0;
    for (const std::int32_t t : seen) sum = (sum * 31 + t) % 1000003;
    return static_cast<std::int32_t>(10 + sum % 50);
  }

  const Rules& rules() const { return rules_; }
  const std::vector<EvalOutcome>& outcomes() const { return listener_.outcomes; }
  const std::vector<Step>& log() const { return log_; }
  std::int32_t stop_at = -1;  // answers stop when a token is that, -1: never

 private:
  void answer(const Step& step) {
    StepResult result{.step = step.id, .tokens = {}};
    std::size_t at = 0;
    for (const SequenceRows& r : step.rows) {
      if (r.score) {
        for (std::uint32_t i = 0; i + 1 < r.count; ++i) {
          result.tokens.push_back({r.sequence, r.begin + i, step.tokens[at + i + 1],
                                   -0.25F * static_cast<float>(i + 1)});
        }
      }
      if (r.sample) {
        const std::int32_t token = next_token(rules_.seen(r.sequence));
        result.tokens.push_back(
            {r.sequence, r.begin + r.count - 1, token == stop_at ? kStop : token, -1});
      }
      at += r.count;
    }
    if (!result.tokens.empty()) results_.push_back(result);
  }
  void deliver() {
    const StepResult result = results_.front();
    results_.pop_front();
    rules_.heard(result);
    source_.on_result(result);
  }

  nanoseconds now_{0};
  Rules rules_;
  Listener listener_;
  EvalSource source_;
  std::size_t lag_;
  std::deque<StepResult> results_;
  std::vector<Step> log_;
};

PolicyConfig preset(std::string_view name) {
  PolicyConfig policy = find_preset(name)->policy;
  if (policy.scorer.name != "none") policy.budget = {Budget::Kind::kTokens, 50};
  return policy;
}
PolicyConfig per_question() {
  PolicyConfig policy = preset("snapkv");
  policy.compaction = make_component("after_question");
  return policy;
}
PolicyConfig streaming(double rows) {
  PolicyConfig policy = preset("streaming_llm");
  policy.compaction = make_component("per_chunk", {{"rows", rows}});
  return policy;
}

std::vector<std::int32_t> ids(std::size_t count, std::int32_t first) {
  std::vector<std::int32_t> list(count);
  for (std::size_t i = 0; i < count; ++i) list[i] = first + static_cast<std::int32_t>(i);
  return list;
}

EvalUnit unit(std::uint64_t id, std::size_t document, std::vector<std::uint32_t> policies) {
  return {.id = id,
          .document = ids(document, 1000 * static_cast<std::int32_t>(id + 1)),
          .questions = {{.tokens = ids(5, 100), .scored = {}, .max_tokens = 3},
                        {.tokens = ids(9, 200), .scored = {}, .max_tokens = 6}},
          .policies = std::move(policies)};
}

EvalRun all_kinds(std::uint32_t chunk = 8, std::uint32_t parallel = 2) {
  return {.policies = {PolicyConfig{}, preset("snapkv"), per_question(), streaming(12),
                       preset("kivi4"), preset("scope_slide")},
          .chunk = chunk,
          .parallel = parallel,
          .stages = 2};
}

// The answers of all outcomes, by unit and policy.
std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::vector<std::int32_t>>> answers(
    const Script& script) {
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::vector<std::int32_t>>> all;
  for (const EvalOutcome& o : script.outcomes()) {
    auto& list = all[{o.unit, o.policy}];
    EXPECT_THAT(list, IsEmpty()) << "two outcomes of a cell";
    for (const EvalAnswer& a : o.answers) {
      EXPECT_EQ(a.tokens.size(), a.logprobs.size());
      list.push_back(a.tokens);
    }
  }
  return all;
}

TEST(EvalSource, EveryPolicyAnswersEveryQuestion) {
  Script script(all_kinds(), {unit(0, 30, {0, 1, 2, 3, 4, 5}), unit(1, 17, {3, 0})}, 3);
  script.play();
  const auto all = answers(script);
  ASSERT_THAT(all, SizeIs(8));
  for (const auto& [cell, lists] : all) {
    ASSERT_THAT(lists, SizeIs(2));
    EXPECT_THAT(lists[0], SizeIs(3));
    EXPECT_THAT(lists[1], SizeIs(6));
    // This pipeline forgets nothing, so that all policies must have read the same.
    const auto& full = all.at({cell.first, 0});
    EXPECT_EQ(lists, full);
  }
  EXPECT_NE(all.at({0, 0}), all.at({1, 0}));
}

TEST(EvalSource, TheAnswerIsWhatFollowsDocumentAndQuestion) {
  Script script(all_kinds(), {unit(0, 30, {0})});
  script.play();
  std::vector<std::int32_t> seen = ids(30, 1000);
  for (const std::int32_t t : ids(5, 100)) seen.push_back(t);
  for (const std::int32_t token : script.outcomes().at(0).answers.at(0).tokens) {
    EXPECT_EQ(token, Script::next_token(seen));
    seen.push_back(token);
  }
}

TEST(EvalSource, AnswersDoNotDependOnChunkParallelStagesOrLag) {
  Script first(all_kinds(), {unit(0, 40, {0, 1, 2, 3, 4, 5})});
  first.play();
  for (const std::uint32_t chunk : {1U, 3U, 64U}) {
    for (const std::uint32_t parallel : {1U, 6U}) {
      for (const std::size_t lag : {0U, 1U, 5U}) {
        EvalRun run = all_kinds(chunk, parallel);
        run.stages = chunk;
        Script other(run, {unit(0, 40, {0, 1, 2, 3, 4, 5})}, lag);
        other.play();
        EXPECT_EQ(answers(other), answers(first)) << chunk << " " << parallel << " " << lag;
      }
    }
  }
}

TEST(EvalSource, ADocumentIsReadOnceForAllThatCanShareIt) {
  Script script(all_kinds(64, 6), {unit(0, 40, {5, 3, 0, 1, 2, 4})});
  script.play();
  std::size_t documents = 0;
  for (const Step& step : script.log()) {
    documents += step.kind == StepKind::kOpen && step.parent == kNoSequence ? 1 : 0;
  }
  EXPECT_EQ(documents, 2U);  // the streaming one reads its own
  // snapkv, kivi4, scope_slide and streaming once, and snapkv per question for each of them.
  EXPECT_EQ(script.rules().compactions(), 6U);
}

TEST(EvalSource, NoMoreBranchesThanAsked) {
  EvalRun run = all_kinds(64, 1);
  Script one(run, {unit(0, 40, {0, 1, 2, 4, 5})}, 4);
  one.play();
  EXPECT_EQ(one.rules().most_open(), 4U);  // the document, a branch, two questions
  run.parallel = 3;
  Script three(run, {unit(0, 40, {1, 4, 5})}, 4);
  three.play();
  EXPECT_EQ(three.rules().most_open(), 1 + 3 * 3U);
}

TEST(EvalSource, TheNextDocumentComesWhenTheLastIsGone) {
  EvalRun run = all_kinds(8, 4);
  Script script(run, {unit(0, 40, {0, 1}), unit(1, 40, {0, 1}), unit(2, 9, {2})}, 4);
  script.play();
  EXPECT_EQ(script.rules().most_documents(), 1U);
  EXPECT_EQ(script.rules().open_now(), 0U);
  EXPECT_THAT(script.outcomes(), SizeIs(5));
}

TEST(EvalSource, WithoutAPolicyThatSharesTheDocumentIsNotRead) {
  Script script(all_kinds(8, 4), {unit(0, 40, {3})});
  script.play();
  for (const Step& step : script.log()) {
    if (step.kind == StepKind::kOpen && step.parent == kNoSequence) {
      EXPECT_EQ(step.policy, 3U);
    }
  }
  EXPECT_EQ(script.rules().most_documents(), 1U);
}

TEST(EvalSource, AnswersEndAtAStopToken) {
  EvalUnit u = unit(0, 30, {0, 1});
  u.questions[0].max_tokens = 40;
  EvalRun run = all_kinds();
  run.stop_tokens = {kStop};
  Script whole(run, {u});
  whole.play();
  const std::vector<std::int32_t> tokens = whole.outcomes().at(0).answers.at(0).tokens;
  ASSERT_THAT(tokens, SizeIs(40));
  Script stopped(run, {u});
  stopped.stop_at = tokens[12];
  stopped.play();
  for (const EvalOutcome& o : stopped.outcomes()) {
    const auto end = std::find(tokens.begin(), tokens.end(), tokens[12]);
    EXPECT_EQ(o.answers[0].tokens, std::vector<std::int32_t>(tokens.begin(), end));
  }
}

EvalUnit scored_unit(std::vector<std::uint32_t> policies) {
  return {.id = 0,
          .document = ids(30, 1000),
          .questions = {{.tokens = ids(5, 100), .scored = {41, 42, 43}, .max_tokens = 0},
                        {.tokens = {99}, .scored = {51}, .max_tokens = 0}},
          .policies = std::move(policies)};
}

TEST(EvalSource, ScoredAnswersAreReadInOneStepBehindTheCompaction) {
  Script script(all_kinds(4, 3), {scored_unit({0, 1, 2, 3, 4, 5})}, 2);
  script.play();
  ASSERT_THAT(script.outcomes(), SizeIs(6));
  for (const EvalOutcome& o : script.outcomes()) {
    EXPECT_THAT(o.answers[0].tokens, ElementsAre(41, 42, 43));
    EXPECT_THAT(o.answers[0].logprobs, ElementsAre(-0.25F, -0.5F, -0.75F));
    EXPECT_THAT(o.answers[1].tokens, ElementsAre(51));
    EXPECT_EQ(o.rows, 8U + 2);
  }
  for (const Step& step : script.log()) {
    for (const SequenceRows& r : step.rows) {
      if (r.score) {
        EXPECT_FALSE(r.sample);
      }
    }
  }
}

TEST(EvalSource, AScoredAnswerIsPartOfThePrompt) {
  Script script(all_kinds(16, 6), {scored_unit({0, 5})});
  script.play();
  for (const Step& step : script.log()) {
    if (step.kind != StepKind::kOpen || step.parent == kNoSequence || step.capacity == 0) continue;
    EXPECT_EQ(step.prompt_rows, step.capacity);
  }
}

TEST(EvalSource, QuestionsOfBranchesDecodeTogether) {
  EvalRun run = all_kinds(64, 6);
  run.stages = 1;
  Script script(run, {unit(0, 40, {0, 1, 4, 5})}, 1000);
  script.play();
  std::size_t widest = 0;
  for (const Step& step : script.log()) {
    std::size_t samples = 0;
    for (const SequenceRows& r : step.rows) samples += r.sample && r.count == 1 ? 1 : 0;
    widest = std::max(widest, samples);
  }
  EXPECT_EQ(widest, 8U);
}

TEST(EvalSource, TimeGoesToWhoseRowsTookIt) {
  EvalRun run = all_kinds(16, 2);
  run.stages = 1;
  Script script(run, {unit(0, 40, {0, 3})});
  script.play();
  for (const EvalOutcome& o : script.outcomes()) {
    EXPECT_NEAR(o.read_seconds, 0.040, 1e-9);
    // 5 + 9 rows of prompts, 2 + 5 of answers whose last tokens are not fed back.
    EXPECT_EQ(o.rows, 21U);
    EXPECT_NEAR(o.seconds, 0.021, 1e-9);
  }
}

}  // namespace
}  // namespace varve
