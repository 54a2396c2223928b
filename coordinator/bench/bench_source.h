// Runs every case of a bench in one run of the pipeline, and times it. Holds counts and token ids
// only, like the batcher, and asks an injected clock, so it is tested without a model.
//
// Each depth's tokens are read once, untimed, as a sequence that is then only forked. A repetition
// is: fork, time, release. It begins when its first step is handed out, with nothing under way but
// that, and ends when its last token is back; so the fill and the drain of the pipeline count.
//   - reading: chunks one after the other; nothing waits before the last row's token
//   - generating: a row per sequence and step, each after the token before it. Sequences go in as
//     many groups as there are stages, as in a job, so that every stage has one to work on
// Token ids are random, and the same in every repetition whatever the pipeline looks like; the
// tokens that the model gives are not fed back, so that every machine computes the same.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "common/wire/step.h"
#include "coordinator/bench/bench_case.h"

namespace varve {

struct BenchRun {
  std::vector<BenchCase> cases;  // those of a depth stand together
  std::uint32_t repetitions = 1;
  bool warm_up = true;       // one more repetition of each case first, that does not count
  std::uint32_t chunk = 1;   // most rows of a step
  std::uint32_t stages = 1;  // of the pipeline
  std::uint32_t vocab = 1;   // token ids are below
  std::uint64_t seed = 0;
};

/// Groups in which a case's sequences go through so many stages.
std::uint32_t decode_groups(const BenchCase& c, std::uint32_t stages);

class BenchSource final : public StepSource {
 public:
  using Clock = std::function<std::chrono::nanoseconds()>;
  /// Hears which case comes next, within next().
  using OnCase = std::function<void(const BenchCase&)>;

  BenchSource(BenchRun run, Clock clock, OnCase on_case = {});

  bool next(Step& step) override;
  /// Results of different steps may come in any order.
  void on_result(const StepResult& result) override;

  /// [case][repetition], once the run is over.
  const std::vector<std::vector<double>>& seconds() const { return seconds_; }

 private:
  struct Planned {
    Step step;
    std::optional<std::uint64_t> after{};  // not before the result of this step
    bool begins = false;                   // a repetition
  };
  struct Repetition {
    std::size_t of = 0;  // a case
    bool counts = false;
    std::chrono::nanoseconds begin{};
    std::set<std::uint64_t> last_steps;  // whose results end it
  };

  void plan_more();
  void plan_prefix(std::uint32_t depth);
  void plan_prefix_end();
  void plan_repetition(std::size_t of, bool counts);
  void plan_prompt(const BenchCase& c, std::uint32_t sequence, Repetition& repetition);
  void plan_generate(const BenchCase& c, std::uint32_t first, Repetition& repetition);
  std::uint64_t plan(Step step, std::optional<std::uint64_t> after = {}, bool begins = false);
  std::uint64_t plan_rows(std::uint32_t sequence, std::uint32_t begin, std::uint32_t count,
                          bool sample, bool begins);
  std::int32_t token(std::uint32_t lane, std::uint32_t position) const;

  BenchRun run_;
  Clock clock_;
  OnCase on_case_;

  std::deque<Planned> planned_;
  std::size_t case_ = 0;        // that is planned next
  std::uint32_t repeated_ = 0;  // how often it has been planned, with its warm-up
  bool stop_planned_ = false;
  std::uint64_t next_id_ = 0;
  std::uint32_t next_sequence_ = 0;
  std::optional<std::uint32_t> prefix_;       // the sequence of the depth at hand
  std::optional<std::uint64_t> prefix_read_;  // the step whose result says that it is read

  std::set<std::uint64_t> awaited_;       // steps that sample, without a result
  std::optional<Repetition> repetition_;  // planned or under way; one at a time
  std::vector<std::vector<double>> seconds_;
};

}  // namespace varve
