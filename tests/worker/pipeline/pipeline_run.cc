#include "tests/worker/pipeline/pipeline_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>

#include "tests/support/spawn.h"
#include "worker/service/worker.h"

namespace varve {
namespace {

class Listener final : public BatcherListener {
 public:
  Listener(Outcome& outcome, const PipelineCase& c)
      : outcome_(outcome), questions_(c.questions), saved_(c.saved) {}
  void on_prefix_rows(std::size_t, std::size_t) override {}
  void on_opened(std::size_t) override {}
  bool on_token(std::size_t question, const SampledToken& token) override {
    outcome_.tokens[questions_[question]].push_back(token.token);
    return true;
  }
  void on_finished(std::size_t, FinishReason) override {}
  void on_saved(std::size_t rows, std::vector<std::vector<std::byte>> parts) override {
    outcome_.saves[rows] = std::move(parts);
  }
  std::vector<std::vector<std::byte>> saved() override { return saved_; }

 private:
  Outcome& outcome_;
  const std::vector<std::size_t>& questions_;
  const std::vector<std::vector<std::byte>>& saved_;
};

class Recorder final : public StepSource {
 public:
  Recorder(StepSource& source, std::vector<StepKind>& steps) : source_(source), steps_(steps) {}
  bool next(Step& step) override {
    const bool found = source_.next(step);
    if (found) steps_.push_back(step.kind);
    return found;
  }
  void on_result(const StepResult& result) override { source_.on_result(result); }
  void on_saved(std::vector<std::vector<std::byte>> parts) override {
    source_.on_saved(std::move(parts));
  }
  std::vector<std::vector<std::byte>> saved() override { return source_.saved(); }

 private:
  StepSource& source_;
  std::vector<StepKind>& steps_;
};

std::size_t question_tokens(std::size_t q) {
  return 1 + 3 * q;
}

std::vector<std::int32_t> random_tokens(std::size_t count, unsigned seed, std::uint32_t vocab) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens(count);
  for (auto& token : tokens) token = static_cast<std::int32_t>(random() % vocab);
  return tokens;
}

// Question q has its own length, sampling and stream; odd ones sample, even ones are greedy.
BatchQuestion question(const PipelineCase& c, std::size_t q) {
  SamplingParams sampling{.seed = 5, .stream = q};
  if (q % 2 == 1) sampling.temperature = 1;
  return {.tokens = random_tokens(question_tokens(q), static_cast<unsigned>(100 + q), c.vocab),
          .max_tokens = c.answer_tokens,
          .sampling = sampling};
}

std::vector<std::size_t> probe_lengths(const PipelineCase& c) {
  if (c.probes.empty() || c.policy.scorer.choice("encode") != "local") return c.probes;
  std::vector<std::size_t> lengths;
  for (const std::size_t q : c.questions) lengths.push_back(c.probes[q % c.probes.size()]);
  return lengths;
}

}  // namespace

std::string tested_backend() {
  const char* named = std::getenv("VARVE_TEST_BACKEND");
  return named == nullptr ? "cpu" : named;
}

std::vector<std::int32_t> prefix_of(const PipelineCase& c) {
  return c.prefix.empty() ? random_tokens(c.prefix_rows, 1, c.vocab) : c.prefix;
}

BatchJob make_job(const PipelineCase& c, int ranks) {
  BatchJob job{.prefix = prefix_of(c),
               .questions = {},
               .chunk = c.chunk,
               .parallel = c.parallel,
               .stages = static_cast<std::uint32_t>(ranks),
               .context = 4096,
               .compaction = compaction_times(c.policy)};
  job.save_every = c.save_every;
  job.saved_rows = c.saved_rows;
  for (const std::size_t q : c.questions) job.questions.push_back(question(c, q));
  for (const std::size_t length : probe_lengths(c)) {
    job.probes.push_back(random_tokens(length, static_cast<unsigned>(200 + length), c.vocab));
  }
  return job;
}

Orders make_orders(const PipelineCase& c, std::size_t ranks) {
  Orders orders{.model = c.model,
                .backend = c.backend,
                .threads = static_cast<std::uint32_t>(c.threads),
                .stages = {},
                .rows = c.chunk,
                .samples = std::min<std::size_t>(c.chunk, 8),
                .in_flight = c.in_flight,
                .kv_dtype = c.kv_dtype,
                .policies = {c.policy},
                .plain_slots = c.policy.positions == Positions::kCompact ? c.plain_slots : 0U,
                .audit = c.audit,
                .step_deadline_ms = 60'000};
  for (const std::size_t length : probe_lengths(c)) {
    orders.probe_rows.push_back(static_cast<std::uint32_t>(length));
    orders.rows += length;
  }
  for (std::size_t r = 0; r < ranks; ++r) {
    orders.stages.push_back(layers_of(c, r, ranks));
  }
  return orders;
}

JobShape shape_of(const PipelineCase& c) {
  JobShape shape{.prefix_rows = c.prefix_rows,
                 .questions = {},
                 .parallel = c.parallel,
                 .chunk = c.chunk,
                 .in_flight = c.in_flight,
                 .kv_dtype = c.kv_dtype,
                 .policy = c.policy};
  for (const std::size_t q : c.questions) {
    shape.questions.push_back({question_tokens(q), c.answer_tokens - 1});
  }
  for (const std::size_t length : probe_lengths(c)) {
    shape.probes.push_back(static_cast<std::uint32_t>(length));
  }
  return shape;
}

LayerRange layers_of(const PipelineCase& c, std::size_t rank, std::size_t ranks) {
  return {rank * c.layers / ranks, (rank + 1) * c.layers / ranks};
}

Outcome run_pipeline(const PipelineCase& c, Communicator& comm) {
  Outcome outcome;
  Worker worker(make_orders(c, static_cast<std::size_t>(comm.size())), comm,
                {.count = c.threads, .cores = {}});
  StageHooks hooks;
  hooks.on_logits = [&](const Step& step, ConstMatrix logits) {
    std::size_t i = 0;
    for (const SequenceRows& r : step.rows) {
      if (!r.sample) continue;
      const float* row = logits.row(i++);
      const std::size_t q = c.questions.at(r.sequence - 1);  // question i is sequence i + 1
      outcome.logits[{q, r.begin + r.count - 1}].assign(row, row + logits.cols);
    }
  };
  Listener listener(outcome, c);
  Batcher batcher(make_job(c, comm.size()), listener);
  Recorder source(batcher, outcome.steps);
  HeldBytes& held = outcome.held[comm.rank()];
  hooks.on_step_done = [&](const StageTimes&, std::size_t bytes) { held.after.push_back(bytes); };
  worker.run(comm.rank() == 0 ? &source : nullptr, std::move(hooks));
  for (const LayerReceipt& r : worker.receipts()) outcome.receipts[{r.layer, r.document}] = r;
  held.peak = worker.bytes().kv;
  outcome.audits[comm.rank()] = worker.audit();
  return outcome;
}

Outcome run_on_threads(const PipelineCase& c, int ranks) {
  Outcome whole;
  std::mutex mutex;
  const auto rank = [&](Communicator& comm) {
    Outcome mine = run_pipeline(c, comm);
    const std::lock_guard lock(mutex);
    whole.tokens.merge(mine.tokens);
    whole.logits.merge(mine.logits);
    whole.receipts.merge(mine.receipts);
    whole.saves.merge(mine.saves);
    whole.held.merge(mine.held);
    whole.audits.merge(mine.audits);
    if (!mine.steps.empty()) whole.steps = std::move(mine.steps);
  };
  spawn(ranks, rank, {.threads = c.transport});
  return whole;
}

void expect_same(const Outcome& actual, const Outcome& whole, bool tokens, bool logits) {
  if (tokens) {
    EXPECT_FALSE(actual.tokens.empty());
    for (const auto& [q, answer] : actual.tokens) EXPECT_EQ(answer, whole.tokens.at(q)) << q;
  }
  if (!logits) return;
  EXPECT_FALSE(actual.logits.empty());
  for (const auto& [at, row] : actual.logits) {
    const std::vector<float>& expected = whole.logits.at(at);
    ASSERT_EQ(row.size(), expected.size());
    EXPECT_EQ(std::memcmp(row.data(), expected.data(), row.size() * sizeof(float)), 0)
        << "question " << at.first << " at position " << at.second;
  }
}

}  // namespace varve
