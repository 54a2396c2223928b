// The bench's steps through a scripted pipeline with a clock of its own: a row takes a millisecond.
#include "coordinator/bench/bench_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace varve {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::DoubleEq;
using testing::Each;
using testing::ElementsAre;
using Kind = BenchCase::Kind;

struct Sequence {
  std::uint32_t parent = kNoSequence;
  std::size_t base = 0;  // rows of the parent
  std::size_t capacity = 0;
  std::size_t rows = 0;
  bool forked = false;
  bool awaited = false;
};

// What every stage relies on, of steps in the order of entry.
class Rules {
 public:
  void take(const Step& step) {
    EXPECT_EQ(step.id, next_id_++);
    switch (step.kind) {
      case StepKind::kOpen:
        return open(step);
      case StepKind::kRows:
        return rows(step);
      case StepKind::kRelease:
        ASSERT_TRUE(open_.contains(step.sequence));
        EXPECT_FALSE(open_[step.sequence].awaited);
        EXPECT_EQ(open_[step.sequence].rows, open_[step.sequence].capacity);
        open_.erase(step.sequence);
        return;
      case StepKind::kCompact:
        ADD_FAILURE() << "a benchmark has no policy";
        return;
      case StepKind::kSave:
      case StepKind::kLoad:
        ADD_FAILURE() << "a benchmark begins anew";
        return;
      case StepKind::kStop:
        EXPECT_TRUE(open_.empty());
    }
  }
  void heard(const StepResult& result) {
    for (const SampledToken& t : result.tokens) open_.at(t.sequence).awaited = false;
  }
  std::size_t opened() const { return opened_; }

 private:
  void open(const Step& step) {
    EXPECT_FALSE(open_.contains(step.sequence));
    Sequence s{.parent = step.parent, .capacity = step.capacity};
    if (step.parent != kNoSequence) {
      Sequence& parent = open_.at(step.parent);
      EXPECT_EQ(parent.rows, parent.capacity);
      parent.forked = true;
      s.base = parent.base + parent.rows;
    }
    open_[step.sequence] = s;
    ++opened_;
  }
  void rows(const Step& step) {
    EXPECT_EQ(row_count(step), step.tokens.size());
    for (const SequenceRows& r : step.rows) {
      Sequence& s = open_.at(r.sequence);
      EXPECT_FALSE(s.forked || s.awaited);
      EXPECT_EQ(r.begin, s.base + s.rows);
      s.rows += r.count;
      EXPECT_LE(s.rows, s.capacity);
      s.awaited = r.sample;
    }
  }

  std::map<std::uint32_t, Sequence> open_;
  std::uint64_t next_id_ = 0;
  std::size_t opened_ = 0;
};

// One stage works at a time; a result comes back `lag` steps later, or when there is nothing else
// to do.
class Script {
 public:
  explicit Script(BenchRun run, std::size_t lag = 0)
      : source_(
            std::move(run), [this] { return now_; },
            [this](const BenchCase& c) { cases_.push_back(name_of(c)); }),
        lag_(lag) {}

  void run() {
    for (bool stopped = false; !stopped;) {
      while (results_.size() > lag_) deliver();
      Step step;
      while (!source_.next(step)) {
        ASSERT_FALSE(results_.empty()) << "nothing is under way, and no step is to be had";
        ++waits_;
        deliver();
      }
      rules_.take(step);
      now_ += milliseconds(row_count(step));
      sample(step);
      stopped = step.kind == StepKind::kStop;
      log_.push_back(step);
    }
  }

  BenchSource& source() { return source_; }
  const std::vector<Step>& log() const { return log_; }
  const Rules& rules() const { return rules_; }
  const std::vector<std::string>& cases() const { return cases_; }
  std::size_t most_under_way() const { return most_under_way_; }
  std::size_t waits() const { return waits_; }

 private:
  void sample(const Step& step) {
    StepResult result{.step = step.id, .tokens = {}};
    for (const SequenceRows& r : step.rows) {
      if (r.sample) result.tokens.push_back({r.sequence, r.begin + r.count - 1, 0, 0});
    }
    if (!result.tokens.empty()) results_.push_back(result);
    most_under_way_ = std::max(most_under_way_, results_.size());
  }
  void deliver() {
    const StepResult result = results_.front();
    results_.pop_front();
    rules_.heard(result);
    source_.on_result(result);
  }

  nanoseconds now_{0};
  BenchSource source_;
  std::size_t lag_;
  Rules rules_;
  std::deque<StepResult> results_;
  std::vector<Step> log_;
  std::vector<std::string> cases_;
  std::size_t most_under_way_ = 0;
  std::size_t waits_ = 0;
};

BenchRun bench(std::vector<BenchCase> cases) {
  return {.cases = std::move(cases), .repetitions = 2, .warm_up = false, .chunk = 4, .vocab = 50};
}

std::vector<std::size_t> step_sizes(const std::vector<Step>& log) {
  std::vector<std::size_t> sizes;
  for (const Step& step : log) {
    if (step.kind == StepKind::kRows) sizes.push_back(row_count(step));
  }
  return sizes;
}

TEST(BenchSource, TimesAPromptFromItsFirstChunkToTheTokenOfItsLastRow) {
  Script script(bench({{Kind::kPrompt, 10, 0, 1}}));
  script.run();
  EXPECT_THAT(step_sizes(script.log()), ElementsAre(4, 4, 2, 4, 4, 2));
  EXPECT_THAT(script.source().seconds(),
              ElementsAre(ElementsAre(DoubleEq(0.010), DoubleEq(0.010))));
}

TEST(BenchSource, ReadsADepthOnceAndOutsideTheTime) {
  Script script(bench({{Kind::kPrompt, 3, 9, 1}, {Kind::kGenerate, 2, 9, 1}}), 5);
  script.run();
  EXPECT_THAT(step_sizes(script.log()), ElementsAre(4, 4, 1, 3, 3, 1, 1, 1, 1));
  EXPECT_THAT(script.source().seconds(), ElementsAre(Each(DoubleEq(0.003)), Each(DoubleEq(0.002))));
}

TEST(BenchSource, NothingElseIsUnderWayWhenARepetitionBegins) {
  BenchRun run = bench({{Kind::kPrompt, 3, 9, 1}});
  Script script(run, 100);
  script.run();
  EXPECT_EQ(script.most_under_way(), 1U);
  EXPECT_EQ(script.waits(), 3U);  // of the depth and of both repetitions
}

TEST(BenchSource, CountsTheRowsOfAllSequences) {
  Script script(bench({{Kind::kGenerate, 5, 0, 3}}));
  script.run();
  EXPECT_THAT(step_sizes(script.log()), ElementsAre(3, 3, 3, 3, 3, 3, 3, 3, 3, 3));
  EXPECT_THAT(script.source().seconds(), ElementsAre(Each(DoubleEq(0.015))));
}

TEST(BenchSource, EachTokenComesAfterTheOneBefore) {
  BenchRun run = bench({{Kind::kGenerate, 4, 0, 1}});
  run.repetitions = 1;
  Script script(run, 100);
  script.run();
  EXPECT_EQ(script.most_under_way(), 1U);
  EXPECT_EQ(script.waits(), 4U);
}

TEST(BenchSource, SequencesGoInAsManyGroupsAsThereAreStages) {
  BenchRun run = bench({{Kind::kGenerate, 2, 0, 4}});
  run.stages = 3;
  run.repetitions = 1;
  Script script(run, 100);
  script.run();
  EXPECT_THAT(step_sizes(script.log()), ElementsAre(2, 1, 1, 2, 1, 1));
  EXPECT_EQ(script.most_under_way(), 3U);
  EXPECT_EQ(decode_groups({Kind::kGenerate, 2, 0, 2}, 3), 2U);
}

TEST(BenchSource, AWarmUpIsRunAndNotCounted) {
  BenchRun run = bench({{Kind::kPrompt, 4, 0, 1}, {Kind::kGenerate, 1, 0, 1}});
  run.warm_up = true;
  Script script(run);
  script.run();
  EXPECT_EQ(script.rules().opened(), 6U);
  EXPECT_THAT(script.source().seconds(), Each(testing::SizeIs(2)));
  EXPECT_THAT(script.cases(), ElementsAre("pp4", "tg1"));
}

TEST(BenchSource, EveryMixtureKeepsTheRules) {
  const std::vector<BenchCase> cases{{Kind::kPrompt, 7, 0, 1},    {Kind::kGenerate, 3, 0, 2},
                                     {Kind::kPrompt, 1, 5, 1},    {Kind::kGenerate, 1, 5, 1},
                                     {Kind::kGenerate, 4, 13, 3}, {Kind::kPrompt, 8, 13, 1}};
  for (const std::uint32_t chunk : {3, 4, 64}) {
    for (const std::uint32_t stages : {1, 2, 5}) {
      for (const std::size_t lag : {0, 1, 9}) {
        BenchRun run = bench(cases);
        run.chunk = chunk;
        run.stages = stages;
        run.warm_up = lag == 1;
        Script script(run, lag);
        script.run();
        EXPECT_THAT(script.source().seconds(), Each(testing::SizeIs(2)));
        EXPECT_EQ(script.cases().size(), cases.size());
        for (const Step& step : script.log()) {
          EXPECT_THAT(step.tokens, Each(testing::AllOf(testing::Ge(0), testing::Lt(50))));
          EXPECT_LE(row_count(step), chunk);
        }
      }
    }
  }
}

TEST(BenchSource, TokensDependOnNeitherChunkNorRepetition) {
  std::map<std::uint32_t, std::int32_t> tokens;  // by position
  for (const std::uint32_t chunk : {1, 3, 64}) {
    BenchRun run = bench({{Kind::kPrompt, 20, 5, 1}});
    run.chunk = chunk;
    Script script(run);
    script.run();
    for (const Step& step : script.log()) {
      if (step.kind != StepKind::kRows) continue;
      for (std::uint32_t i = 0; i < step.rows[0].count; ++i) {
        const auto [at, fresh] = tokens.emplace(step.rows[0].begin + i, step.tokens[i]);
        EXPECT_EQ(at->second, step.tokens[i]) << "position " << at->first;
      }
    }
  }
  EXPECT_EQ(tokens.size(), 25U);
  std::set<std::int32_t> different;
  for (const auto& [position, token] : tokens) different.insert(token);
  EXPECT_GT(different.size(), 10U);
}

TEST(BenchSource, MisuseIsABug) {
  BenchRun run = bench({{Kind::kPrompt, 1, 0, 1}});
  Script script(run);
  script.run();
  Step step;
  EXPECT_ANY_THROW(script.source().next(step));
  EXPECT_ANY_THROW(script.source().on_result({.step = 7, .tokens = {}}));
  run.chunk = 2;
  run.cases = {{Kind::kGenerate, 1, 0, 3}};
  EXPECT_ANY_THROW(BenchSource(run, [] { return nanoseconds(0); }));
}

}  // namespace
}  // namespace varve
