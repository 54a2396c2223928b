#include "coordinator/cli/conductor.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "common/policy/sequence_rows.h"

namespace varve {
namespace {

ProgressOptions progress_options() {
  ProgressOptions options;
  options.terminal = isatty(STDERR_FILENO) == 1;
  winsize size{};
  if (options.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width = size.ws_col;
  }
  return options;
}

void write_stderr(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

double seconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double>(d).count();
}

// FNV-1a: any fixed hash will do, as long as it never changes.
std::uint64_t stream_of(std::string_view id) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

// A save is of what a compaction has left.
std::uint32_t save_every(const JobConfig& job) {
  if (job.checkpoint == 0) return 0;
  const std::uint32_t period = compaction_times(job.policy).period;
  return (job.checkpoint + period - 1) / period * period;
}

}  // namespace

Conductor::Conductor(const PreparedJob& job, const OutputPaths& paths, Progress::Busy busy)
    : job_(job),
      writer_(paths),
      progress_(progress_options(), write_stderr, std::move(busy)),
      answers_(job.questions.size(), Answer(job.tokenizer)),
      results_(job.questions.size()) {
  for (std::size_t i = 0; i < results_.size(); ++i) {
    results_[i].id = job.job.questions[i].id;
    results_[i].question = job.job.questions[i].text;
    results_[i].timings.cache_n = job.prefix.size();
    results_[i].timings.prompt_n = job.questions[i].size();
  }
  progress_.prefill(0, job.prefix.size());
}

void Conductor::keep_checkpoints(const CheckpointFile& file, std::optional<Checkpoint> earlier) {
  checkpoint_ = &file;
  if (!earlier) return;
  resumed_rows_ = earlier->rows;
  resumed_seconds_ = earlier->seconds;
  saved_ = std::move(earlier->parts);
  progress_.resume(resumed_rows_);
}

void Conductor::on_saved(std::size_t rows, std::vector<std::vector<std::byte>> parts) {
  checkpoint_->write({rows, resumed_seconds_ + seconds(Clock::now() - begin_), std::move(parts)});
}

std::vector<std::vector<std::byte>> Conductor::saved() {
  return std::exchange(saved_, {});
}

void Conductor::on_prefix_rows(std::size_t done, std::size_t total) {
  progress_.prefill(done, total);
  if (done == total) prefix_done_ = end_ = Clock::now();
}

void Conductor::on_opened(std::size_t question) {
  answers_[question].opened = Clock::now();
}

bool Conductor::cut_at_stop(std::string& answer) const {
  std::size_t first = std::string::npos;
  for (const std::string& stop : job_.job.sampling.stop) first = std::min(first, answer.find(stop));
  if (first == std::string::npos) return false;
  answer.resize(first);
  return true;
}

bool Conductor::on_token(std::size_t question, const SampledToken& token) {
  Answer& answer = answers_[question];
  QuestionResult& result = results_[question];
  answer.last_token = Clock::now();
  if (result.tokens.empty()) answer.first_token = answer.last_token;
  result.tokens.push_back(token.token);
  result.answer += answer.decoder.add(token.token);
  ++answer_tokens_;
  progress_.decode(answer_tokens_, finished_, results_.size());
  return !cut_at_stop(result.answer);
}

void Conductor::on_finished(std::size_t question, FinishReason reason) {
  Answer& answer = answers_[question];
  QuestionResult& result = results_[question];
  end_ = Clock::now();
  result.answer += answer.decoder.flush();
  cut_at_stop(result.answer);
  result.finish_reason = to_string(reason);
  const auto first = result.tokens.empty() ? end_ : answer.first_token;
  result.timings.prompt_ms = 1e3 * seconds(first - answer.opened);
  result.timings.predicted_n = result.tokens.size();
  if (!result.tokens.empty()) {
    result.timings.predicted_ms = 1e3 * seconds(answer.last_token - first);
  }
  writer_.write(result);
  ++finished_;
  progress_.decode(answer_tokens_, finished_, results_.size());
}

double Conductor::prefill_seconds() const {
  return seconds(prefix_done_ - begin_);
}
double Conductor::decode_seconds() const {
  return seconds(end_ - prefix_done_);
}

BatchJob batch_job(const PreparedJob& prepared, const Plan& plan) {
  const JobConfig& job = prepared.job;
  BatchJob batch{.prefix = prepared.prefix,
                 .questions = {},
                 .chunk = static_cast<std::uint32_t>(plan.shape.chunk),
                 .parallel = static_cast<std::uint32_t>(plan.shape.parallel),
                 .stages = static_cast<std::uint32_t>(plan.ranks.size()),
                 .context = static_cast<std::uint32_t>(prepared.model.config().context),
                 .taken = static_cast<std::uint32_t>(
                     next_position(job.policy, plan.kept.rows, prepared.prefix.size())),
                 .compaction = compaction_times(job.policy),
                 .probes = prepared.probes,
                 .save_every = save_every(job)};
  for (std::size_t i = 0; i < job.questions.size(); ++i) {
    const SamplingParams sampling{.temperature = job.sampling.temperature,
                                  .top_k = job.sampling.top_k,
                                  .top_p = job.sampling.top_p,
                                  .min_p = job.sampling.min_p,
                                  .seed = job.sampling.seed,
                                  .stream = stream_of(job.questions[i].id)};
    batch.questions.push_back({.tokens = prepared.questions[i],
                               .max_tokens = job.questions[i].max_tokens,
                               .sampling = sampling,
                               .stop_tokens = prepared.tokenizer.stops()});
  }
  return batch;
}

}  // namespace varve
