// Tries cache policies on documents: the steps of the pipeline. Holds counts and token ids only,
// like the batcher, and asks an injected clock, so it is tested without a model.
//
// One document at a time (a unit). It is read once, whole; then branches, one per policy, at most
// so many at a time as the run allows:
//   after_document  a fork of the document is compacted, questions fork that
//   after_question  each question forks the document, and is compacted when its own tokens are read
//   never           questions fork the document
//   per_chunk       the policy acts while the document is read, so the branch reads its own; these
//                   come last, when the whole document may be gone
// Questions of all open branches decode together, in as many groups as there are stages; that takes
// turns with what is read. A branch ends, and makes room for the next, when its questions have.
//
// A question either generates an answer, or has one that is scored. That is read in one step behind
// its prompt (and behind the compaction of after_question), all but the last row of which yields
// the probability of the token that follows. The last token of the prompt is the first of those
// rows, so that every scored token comes after the compaction. To the cache such an answer is part
// of the prompt: what a policy does to growing answers is not measured by it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "common/policy/policy_config.h"
#include "common/wire/step.h"

namespace varve {

struct EvalQuestion {
  std::vector<std::int32_t> tokens;   // after the document, at least one
  std::vector<std::int32_t> scored;   // the answer; empty: it is generated
  std::uint32_t max_tokens = 0;       // of a generated answer, at least one
  std::vector<std::int32_t> probe{};  // what a guided policy looks with, while it reads
};

/// Own rows that a question may come to.
std::size_t rows_of(const EvalQuestion& question);

struct EvalUnit {
  std::uint64_t id = 0;
  std::vector<std::int32_t> document;
  std::vector<EvalQuestion> questions;
  std::vector<std::uint32_t> policies;  // of the run's, each once
};

struct EvalAnswer {
  std::vector<std::int32_t> tokens;  // generated, without the stop token; or the scored ones
  std::vector<float> logprobs;       // of each
};

/// What came of one policy on one document.
struct EvalOutcome {
  std::uint64_t unit = 0;
  std::uint32_t policy = 0;
  std::vector<EvalAnswer> answers;  // by question
  std::uint64_t rows = 0;           // of questions and answers
  double seconds = 0;               // of those, and of compacting
  double read_seconds = 0;          // of the document, which branches may share
};

struct EvalRun {
  std::vector<PolicyConfig> policies;  // as in the run's Orders; 0 keeps every row
  std::uint32_t chunk = 512;           // most rows of a step
  std::uint32_t parallel = 1;          // branches that are open at a time
  std::uint32_t stages = 1;            // of the pipeline
  std::vector<std::int32_t> stop_tokens{};
};

/// Called from within next() and on_result().
class EvalListener {
 public:
  virtual ~EvalListener() = default;
  /// The next document; false if there is none.
  virtual bool next_unit(EvalUnit& unit) = 0;
  virtual void on_outcome(const EvalOutcome& outcome) = 0;
};

class EvalSource final : public StepSource {
 public:
  using Clock = std::function<std::chrono::nanoseconds()>;

  /// `listener` must outlive this. A scored answer and the token before it must fit a step.
  EvalSource(EvalRun run, EvalListener& listener, Clock clock);

  bool next(Step& step) override;
  /// Results of different steps may come in any order.
  void on_result(const StepResult& result) override;

 private:
  struct Asked {
    std::uint32_t sequence = 0;
    std::uint32_t sent = 0;  // own rows that went into the pipeline
    EvalAnswer answer;
  };
  struct Branch {
    std::uint32_t policy = 0;
    std::optional<std::uint32_t> base;  // its own sequence that questions fork; else the document's
    std::vector<Asked> asked;           // by question; empty until it is open
    std::size_t unfinished = 0;
    bool done = false;
    std::uint64_t rows = 0;
    double seconds = 0;
    double read_seconds = 0;
  };
  struct Which {
    std::size_t branch = 0;
    std::size_t question = 0;
  };
  /// Whose time a step takes: rows of a branch, or of the document that branches share.
  struct Owner {
    std::optional<std::size_t> branch;
    bool reads = false;  // a document
    std::size_t rows = 1;
  };
  struct Planned {
    Step step;
    std::vector<Which> yields;  // by its rows that yield something
    Owner owner;
    bool of_question = false;  // a compaction that an answer waits for
  };
  struct Flight {
    std::vector<Which> yields;
    bool decode = false;
  };

  bool begin_unit();
  bool unit_is_over() const;
  void plan_document();
  void open_branches();
  void plan_branch(std::size_t index);
  void plan_base(std::size_t index);
  void plan_reading(std::uint32_t sequence, std::uint32_t policy, Owner owner);
  void add_probes(Step& step, std::uint32_t sequence, std::size_t at) const;
  void plan_questions(std::size_t index);
  void plan_prompts(std::size_t index);
  void plan_scored(std::size_t index, std::size_t question);
  void plan_release_of_document();
  void plan(Step step, Owner owner, std::vector<Which> yields = {});

  bool take_planned(Step& step);
  bool decode_group(Step& step);
  std::size_t groups() const;
  void add_rows(Step& step, const Which& which, std::uint32_t count);

  void accept(const Which& which, const SampledToken& token);
  void accept_scored(const Which& which, const SampledToken& token);
  void finish(const Which& which);
  void charge();

  bool reads_alone(std::uint32_t policy) const;
  Asked& asked(const Which& which) { return branches_[which.branch].asked[which.question]; }
  const EvalQuestion& question(const Which& which) const { return unit_.questions[which.question]; }

  EvalRun run_;
  EvalListener& listener_;
  Clock clock_;

  EvalUnit unit_;
  std::vector<Branch> branches_;         // of the unit
  std::optional<std::uint32_t> shared_;  // the sequence of the document, while it is open
  double shared_seconds_ = 0;            // of reading it
  std::deque<std::size_t> waiting_;      // branches that are not open yet
  std::size_t open_ = 0;

  std::deque<Planned> planned_;
  std::size_t loose_ = 0;    // planned compactions of questions
  std::deque<Which> ready_;  // their last token is back and not sent
  std::size_t decoding_ = 0;
  std::size_t decode_flights_ = 0;
  std::map<std::uint64_t, Flight> flights_;  // steps without a result that yield something
  bool planned_last_ = false;                // the last step was not a decode step
  bool stopped_ = false;

  std::uint64_t next_id_ = 0;
  std::uint32_t next_sequence_ = 0;
  std::vector<Owner> owners_;  // of the step handed out last
  std::chrono::nanoseconds charged_{};
};

}  // namespace varve
