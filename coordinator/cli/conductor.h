// Rank 0's side of a run: hears what the batcher says, turns tokens into answers, shows progress,
// and writes the results.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "coordinator/cli/prepared_job.h"
#include "coordinator/jobs/checkpoint.h"
#include "coordinator/jobs/output_dir.h"
#include "coordinator/jobs/progress.h"
#include "coordinator/jobs/results.h"
#include "coordinator/schedule/batcher.h"

namespace varve {

class Conductor final : public BatcherListener {
 public:
  /// All references must outlive this.
  Conductor(const PreparedJob& job, const OutputPaths& paths, Progress::Busy busy);
  /// What is read from now on is saved there; `earlier` is what was saved, if anything.
  void keep_checkpoints(const CheckpointFile& file, std::optional<Checkpoint> earlier);

  void on_prefix_rows(std::size_t done, std::size_t total) override;
  void on_opened(std::size_t question) override;
  bool on_token(std::size_t question, const SampledToken& token) override;
  void on_finished(std::size_t question, FinishReason reason) override;
  void on_saved(std::size_t rows, std::vector<std::vector<std::byte>> parts) override;
  std::vector<std::vector<std::byte>> saved() override;

  /// Leaves the progress line as it is: other output follows.
  void end_progress() { progress_.end(); }
  const std::vector<QuestionResult>& results() const { return results_; }
  std::uint64_t answer_tokens() const { return answer_tokens_; }
  /// Seconds from the first chunk to the end of the prefix, and from there to the last answer.
  double prefill_seconds() const;
  double decode_seconds() const;
  std::uint64_t resumed_rows() const { return resumed_rows_; }
  double resumed_seconds() const { return resumed_seconds_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Answer {
    explicit Answer(const Tokenizer& tokenizer) : decoder(tokenizer) {}
    IncrementalDecoder decoder;
    Clock::time_point opened{};
    Clock::time_point first_token{};
    Clock::time_point last_token{};
  };

  bool cut_at_stop(std::string& answer) const;

  const PreparedJob& job_;
  ResultsWriter writer_;
  Progress progress_;
  std::vector<Answer> answers_;
  std::vector<QuestionResult> results_;
  const CheckpointFile* checkpoint_ = nullptr;
  std::vector<std::vector<std::byte>> saved_;  // by an earlier run
  std::uint64_t resumed_rows_ = 0;
  double resumed_seconds_ = 0;
  std::size_t finished_ = 0;
  std::uint64_t answer_tokens_ = 0;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point prefix_done_ = begin_;
  Clock::time_point end_ = begin_;
};

/// The job as the batcher takes it. Question i samples from stream hash(id), so that an answer does
/// not depend on which other questions stand in the file.
BatchJob batch_job(const PreparedJob& job, const Plan& plan);

}  // namespace varve
