// A pipeline as a clockwork: stages that take one tick per step of rows, links that hold so many
// steps, and results that come back when they please. Runs a batcher without a model.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "coordinator/schedule/batcher.h"
#include "tests/coordinator/schedule/step_checker.h"

namespace varve::test {

struct PipelineSpec {
  std::size_t stages = 1;
  std::size_t in_flight = 1;   // steps that a link holds
  std::size_t most_delay = 0;  // of a result, in ticks, drawn for each
  bool in_order = true;        // results are heard in the order in which they were made
  unsigned seed = 1;
};

/// The token that the model of this pipeline gives after `position`: from the question and the
/// position alone, as varve promises.
std::int32_t model_token(std::uint32_t sequence, std::uint32_t position);

/// Hears a batcher and keeps what it hears.
class Recorder : public BatcherListener {
 public:
  explicit Recorder(std::size_t questions) : answers(questions), reasons(questions) {}
  void on_prefix_rows(std::size_t done, std::size_t total) override;
  void on_opened(std::size_t question) override { opened.push_back(question); }
  bool on_token(std::size_t question, const SampledToken& token) override;
  void on_finished(std::size_t question, FinishReason reason) override;

  std::vector<std::vector<std::int32_t>> answers;
  std::vector<std::optional<FinishReason>> reasons;
  std::vector<std::size_t> opened;
  std::vector<std::size_t> finished;
  std::vector<std::pair<std::size_t, std::size_t>> prefix_rows;
  std::optional<std::size_t> enough;  // tokens after which it says so
};

class PipelineModel {
 public:
  PipelineModel(const BatchJob& job, const PipelineSpec& spec);

  /// To the end, or until nothing moves any more (a problem).
  void run();

  const StepChecker& checker() const { return checker_; }
  const Recorder& recorder() const { return recorder_; }
  Recorder& recorder() { return recorder_; }
  std::string problem() const;
  std::size_t ticks() const { return now_; }
  /// Ticks in which a stage had a step of rows: all, and those of decode steps.
  const std::vector<std::size_t>& busy() const { return busy_; }
  const std::vector<std::size_t>& decode_busy() const { return decode_busy_; }
  std::size_t decode_begin() const { return decode_begin_; }  // tick of the first decode step
  const std::vector<Step>& log() const { return log_; }
  std::size_t most_decode_flights() const { return most_decode_flights_; }

 private:
  struct Result {
    std::size_t due = 0;
    StepResult result;
  };
  void hear();
  bool advance(std::size_t stage);
  bool take(std::size_t stage, Step& step);
  void leave(std::size_t stage);
  void sample(const Step& step);
  bool is_decode(const Step& step) const;

  BatchJob job_;
  PipelineSpec spec_;
  std::mt19937 random_;
  Recorder recorder_;
  StepChecker checker_;
  Batcher batcher_;

  std::vector<std::deque<Step>> links_;       // [stage]: what waits before it
  std::vector<std::optional<Step>> at_work_;  // [stage]
  std::vector<std::size_t> until_;            // [stage]: tick in which the step at work is done
  std::vector<Result> results_;
  std::size_t now_ = 0;
  bool moved_ = false;
  bool source_ended_ = false;
  bool ended_ = false;
  std::string stuck_;
  std::vector<std::size_t> busy_;
  std::vector<std::size_t> decode_busy_;
  std::size_t decode_begin_ = 0;
  std::vector<Step> log_;
  std::map<std::uint64_t, bool> decode_flights_;
  std::size_t most_decode_flights_ = 0;
};

}  // namespace varve::test
