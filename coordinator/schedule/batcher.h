// Turns a job (one prefix, many questions) into the steps of the pipeline. Holds no tensor, only
// counts, positions and token ids, so it can be simulated.
//
// The order of things:
//   1. the prefix, if there is one, as sequence 0, in chunks; nothing waits for a result. A policy
//      that keeps some rows of a whole document compacts it here
//   2. as many questions as may be open at a time, each a fork of sequence 0; longest first, so
//      that the memory's peak comes at once and is the planned one, and no long answer is left
//      alone at the end
//   3. the questions' own tokens, packed: rows of several in one step, up to a chunk
//   4. decoding in groups, as many as there are stages, of even sizes: more would read the weights
//      more often than needed, fewer would leave stages idle. A group's next step is due as soon
//      as its tokens are back; it takes turns with questions that are still being read
//   5. a question that ends is released, and the next one takes its place
//      A policy that looks at the question compacts the question's copy of the document as soon as
//      its own tokens are read
//   6. sequence 0 is released once nobody will read it, and the pipeline stops
// Question i is sequence i + 1. Which questions share a step depends on when results come back;
// their tokens do not.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "common/wire/step.h"
#include "coordinator/schedule/compaction_times.h"

namespace varve {

struct BatchQuestion {
  std::vector<std::int32_t> tokens;  // after the prefix, at least one
  std::uint32_t max_tokens = 1;      // of the answer, at least one
  SamplingParams sampling{};
  std::vector<std::int32_t> stop_tokens{};  // an answer ends before one of these
};

struct BatchJob {
  std::vector<std::int32_t> prefix{};  // the document and what stands before it; may be empty
  std::vector<BatchQuestion> questions{};
  std::uint32_t chunk = 512;   // most rows of a step
  std::uint32_t parallel = 1;  // most questions open at a time
  std::uint32_t stages = 1;    // of the pipeline
  std::uint32_t context = 0;   // positions that the model has
  /// Of these, what the prefix leaves taken; nothing: one for each of its rows.
  std::optional<std::uint32_t> taken{};
  std::uint32_t policy = 0;  // of the run's cache policies: the one of every sequence
  CompactionTimes compaction{};
  /// Texts that ride behind the prefix's rows before each compaction (steps may be longer by them),
  /// to tell what the questions look at.
  std::vector<std::vector<std::int32_t>> probes{};
  std::uint32_t save_every = 0;  // rows of the prefix, a multiple of the compaction's period; 0: no
  /// Rows of the prefix that were read in an earlier run; the listener has what was saved of them.
  std::uint32_t saved_rows = 0;
};

enum class FinishReason : std::uint8_t {
  kStop,    // a stop token, or the listener had enough
  kLength,  // max_tokens, or the context is full
};
std::string_view to_string(FinishReason reason);

/// Hears what happens, from within next() and on_result(). Questions by their index in the job.
class BatcherListener {
 public:
  virtual ~BatcherListener() = default;
  /// The first stage is done with `done` of the `total` rows of the prefix. Not called without one.
  virtual void on_prefix_rows(std::size_t done, std::size_t total) = 0;
  /// Its first row is about to enter the pipeline.
  virtual void on_opened(std::size_t question) = 0;
  /// A token of its answer (stop tokens are none). False: that is enough, the answer ends with it.
  virtual bool on_token(std::size_t question, const SampledToken& token) = 0;
  virtual void on_finished(std::size_t question, FinishReason reason) = 0;
  /// What the stages hold of the first `rows` rows of the prefix, by rank.
  virtual void on_saved(std::size_t /*rows*/, std::vector<std::vector<std::byte>> /*parts*/) {}
  /// The same of `saved_rows`, from an earlier run.
  virtual std::vector<std::vector<std::byte>> saved() { return {}; }
};

class Batcher final : public StepSource {
 public:
  /// Prefix and question must fit the context (the planner has checked). `listener` must outlive
  /// this.
  Batcher(BatchJob job, BatcherListener& listener);

  bool next(Step& step) override;
  /// Results of different steps may come in any order.
  void on_result(const StepResult& result) override;
  void on_saved(std::vector<std::vector<std::byte>> parts) override;
  std::vector<std::vector<std::byte>> saved() override { return listener_.saved(); }

 private:
  struct Question {
    std::uint32_t capacity = 0;  // own rows: its tokens and all of its answer but the last token
    std::uint32_t limit = 0;     // tokens of its answer
    std::uint32_t sent = 0;      // own rows that went into the pipeline
    std::uint32_t answered = 0;  // tokens that came back
    std::int32_t last_token = 0;
  };
  struct Flight {
    std::vector<std::size_t> questions;  // in the order of the step's sampling rows
    bool decode = false;
  };

  // Each tries to fill `step` with the next of its kind.
  bool open_prefix(Step& step);
  bool load_prefix(Step& step);
  bool save_prefix(Step& step);
  bool read_prefix(Step& step);
  void add_probes(Step& step) const;
  bool compact_prefix(Step& step);
  bool compact_question(Step& step);
  bool release_question(Step& step);
  bool open_question(Step& step);
  bool run_rows(Step& step);
  bool release_prefix(Step& step);
  bool close(Step& step);

  void report_prefix();
  void read_questions(Step& step);
  void decode_group(Step& step);
  void add_rows(Step& step, std::size_t question, std::uint32_t count, bool sample);
  std::size_t groups() const;
  std::size_t group_size() const;
  void accept(std::size_t question, const SampledToken& token);
  void finish(std::size_t question, FinishReason reason);

  BatchJob job_;
  BatcherListener& listener_;
  std::vector<Question> questions_;

  std::uint64_t next_id_ = 0;
  bool prefix_open_ = false;
  std::size_t prefix_sent_ = 0;
  std::size_t prefix_saved_ = 0;  // rows of the last save, or of the load
  std::size_t prefix_reported_ = 0;
  bool prefix_compacted_ = false;
  std::deque<std::size_t> waiting_;   // not open yet, longest first
  std::deque<std::size_t> unread_;    // open, some of their own tokens not sent
  std::deque<std::size_t> loose_;     // read, their copy of the prefix not compacted
  std::deque<std::size_t> ready_;     // their last token is back and not sent
  std::deque<std::size_t> finished_;  // to be released
  std::size_t open_ = 0;              // questions that hold rows
  std::size_t unfinished_ = 0;
  std::size_t decoding_ = 0;                 // have their first token, and are not finished
  std::size_t decode_flights_ = 0;           // decode steps without a result
  std::map<std::uint64_t, Flight> flights_;  // steps that sample, without a result
  bool read_last_ = false;                   // the last step of rows read a question
  bool stopped_ = false;
};

}  // namespace varve
