// A step: what the coordinator tells the pipeline to do. Steps enter stage 0 and flow down the
// stages in the channel that carries the activations, so every stage applies the same steps in the
// same order with no barrier, and whatever changes a cache is ordered with what reads it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/wire/archive.h"

namespace varve {

/// How the last stage turns logits into a token. temperature 0 is greedy; top_k 0, top_p 1 and
/// min_p 0 are off. `stream` tells two questions with the same seed apart.
struct SamplingParams {
  float temperature = 0;
  std::uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
};
template <class A>
void visit(A& a, SamplingParams& s) {
  a(s.temperature, s.top_k, s.top_p, s.min_p, s.seed, s.stream);
}

enum class StepKind : std::uint8_t {
  kOpen,     // a new sequence, empty, or a fork of `parent` whose rows become immutable
  kRows,     // rows for one or more sequences: a prefill chunk, a decode batch, or both
  kCompact,  // the document's rows of a sequence shrink to what its cache policy keeps
  kSave,     // what the stages hold of a document that is being read goes to the source
  kLoad,     // and comes back, right after kOpen
  kRelease,  // a sequence ends; its own rows are freed
  kStop,     // the pipeline ends after this step
};

/// `count` consecutive rows of one sequence, the first at position `begin`.
struct SequenceRows {
  std::uint32_t sequence = 0;
  std::uint32_t begin = 0;
  std::uint32_t count = 0;
  bool sample = false;  // the last of these rows yields a token
  bool score = false;   // the others yield the log-probability of the token that follows them
  /// They follow the sequence's rows of this step, attend and are forgotten; what they attend to
  /// guides the sequence's cache policy. Each range of a step is a probe of its own.
  bool probe = false;
};
template <class A>
void visit(A& a, SequenceRows& r) {
  a(r.sequence, r.begin, r.count, r.sample, r.score, r.probe);
}

inline constexpr std::uint32_t kNoSequence = 0xffffffff;

struct Step {
  std::uint64_t id = 0;  // 0, 1, 2, ... in the order of entry
  StepKind kind = StepKind::kStop;

  // All but kRows and kStop
  std::uint32_t sequence = kNoSequence;

  // kOpen
  std::uint32_t parent = kNoSequence;  // fork of this one
  std::uint32_t policy = 0;            // of the run's cache policies
  std::uint32_t capacity = 0;          // own rows that it will see, exact
  std::uint32_t prompt_rows = 0;       // the first of them, before it decodes
  std::uint32_t questions = 0;         // of a document: that will fork it, each with its probe
  std::uint32_t question = 0;          // of a fork: which of these it is
  SamplingParams sampling{};

  // kRows
  std::vector<SequenceRows> rows;
  std::vector<std::int32_t> tokens;  // one per row, in the order of `rows`; for stage 0
};
template <class A>
void visit(A& a, Step& s) {
  a(s.id, s.kind, s.sequence, s.parent, s.policy, s.capacity, s.prompt_rows, s.questions,
    s.question, s.sampling, s.rows, s.tokens);
}

inline std::size_t row_count(const Step& step) {
  std::size_t total = 0;
  for (const SequenceRows& r : step.rows) total += r.count;
  return total;
}

/// What a step yields for a row that asked, in the order of its rows: the token that was chosen,
/// or, scored, the one that follows. Last stage -> stage 0.
struct SampledToken {
  std::uint32_t sequence = 0;
  std::uint32_t position = 0;  // of the row whose logits gave it; the token itself comes after
  std::int32_t token = 0;
  float logprob = 0;  // natural log of its probability under softmax(logits)
};
template <class A>
void visit(A& a, SampledToken& t) {
  a(t.sequence, t.position, t.token, t.logprob);
}

struct StepResult {
  std::uint64_t step = 0;
  std::vector<SampledToken> tokens;
};
template <class A>
void visit(A& a, StepResult& r) {
  a(r.step, r.tokens);
}

/// Where stage 0 gets its steps. Implemented by the coordinator's batcher and by test scripts.
class StepSource {
 public:
  virtual ~StepSource() = default;
  /// The next step into `step`; false if none can be had before a result comes back. A sequence
  /// whose result is awaited is neither sampled again nor released. After kStop it is not called
  /// again.
  virtual bool next(Step& step) = 0;
  /// The tokens of a step that sampled any, in step order.
  virtual void on_result(const StepResult& result) = 0;
  /// What each stage holds, by rank, of the sequence of a kSave step.
  virtual void on_saved(std::vector<std::vector<std::byte>> /*parts*/) {}
  /// The same for a kLoad step.
  virtual std::vector<std::vector<std::byte>> saved() { return {}; }
};

}  // namespace varve
