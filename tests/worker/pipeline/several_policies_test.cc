// Sequences of different cache policies in one run, as an evaluation has them: rows of two jobs in
// the same steps, each job with its own document, leave each what it is alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>

#include "tests/support/spawn.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/worker/pipeline/policy_cases.h"
#include "worker/service/worker.h"

namespace varve {
namespace {

constexpr std::uint32_t kApart = 1000;  // sequences of one job and of the next

class Tokens final : public BatcherListener {
 public:
  explicit Tokens(std::vector<std::vector<std::int32_t>>& answers) : answers_(answers) {}
  void on_prefix_rows(std::size_t, std::size_t) override {}
  void on_opened(std::size_t) override {}
  bool on_token(std::size_t question, const SampledToken& token) override {
    answers_[question].push_back(token.token);
    return true;
  }
  void on_finished(std::size_t, FinishReason) override {}

 private:
  std::vector<std::vector<std::int32_t>>& answers_;
};

// What the jobs that run see. A job's place tells its sequences.
struct Seen {
  std::map<std::size_t, std::vector<std::vector<std::int32_t>>> answers;  // by place
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<float>> logits;
  std::map<std::pair<std::uint32_t, bool>, LayerReceipt> receipts;
};

// Steps of several batchers: those with rows become one, the others go out one by one.
class Together final : public StepSource {
 public:
  void add(std::size_t place, BatchJob job, std::vector<std::vector<std::int32_t>>& answers) {
    answers.resize(job.questions.size());
    job.policy = static_cast<std::uint32_t>(jobs_.size());
    listeners_.push_back(std::make_unique<Tokens>(answers));
    jobs_.push_back({static_cast<std::uint32_t>(place) * kApart,
                     std::make_unique<Batcher>(std::move(job), *listeners_.back()),
                     {},
                     false});
  }

  bool next(Step& step) override {
    for (Job& job : jobs_) fill(job);
    step = Step{};
    const bool found = emit_other(step) || emit_rows(step) || stop(step);
    if (found) step.id = next_++;
    return found;
  }

  void on_result(const StepResult& result) override {
    for (const auto& [job, id] : routes_.at(result.step)) {
      StepResult own{.step = id, .tokens = {}};
      for (SampledToken token : result.tokens) {
        if (token.sequence / kApart != jobs_[job].first / kApart) continue;
        token.sequence -= jobs_[job].first;
        own.tokens.push_back(token);
      }
      if (!own.tokens.empty()) jobs_[job].batcher->on_result(own);
    }
  }

 private:
  struct Job {
    std::uint32_t first;  // of its sequences
    std::unique_ptr<Batcher> batcher;
    std::optional<Step> due;
    bool stopped;
  };

  static void fill(Job& job) {
    Step step;
    if (job.due || job.stopped || !job.batcher->next(step)) return;
    job.stopped = step.kind == StepKind::kStop;
    if (!job.stopped) job.due = std::move(step);
  }

  bool emit_other(Step& step) {
    for (Job& job : jobs_) {
      if (!job.due || job.due->kind == StepKind::kRows) continue;
      step = *std::exchange(job.due, std::nullopt);
      step.sequence += job.first;
      if (step.parent != kNoSequence) step.parent += job.first;
      return true;
    }
    return false;
  }

  bool emit_rows(Step& step) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      if (!jobs_[i].due) continue;
      const Step own = *std::exchange(jobs_[i].due, std::nullopt);
      step.kind = StepKind::kRows;
      for (SequenceRows rows : own.rows) {
        rows.sequence += jobs_[i].first;
        step.rows.push_back(rows);
      }
      step.tokens.insert(step.tokens.end(), own.tokens.begin(), own.tokens.end());
      routes_[next_].emplace_back(i, own.id);
    }
    return step.kind == StepKind::kRows;
  }

  // Step{} is one already.
  bool stop(Step&) const {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.stopped; });
  }

  std::vector<std::unique_ptr<Tokens>> listeners_;
  std::vector<Job> jobs_;
  std::uint64_t next_ = 0;
  // By step: which jobs' rows it has, and the number that each of them gave it.
  std::map<std::uint64_t, std::vector<std::pair<std::size_t, std::uint64_t>>> routes_;
};

void note_logits(const Step& step, ConstMatrix logits, Seen& seen) {
  std::size_t i = 0;
  for (const SequenceRows& r : step.rows) {
    if (!r.sample) continue;
    const float* row = logits.row(i++);
    seen.logits[{r.sequence, r.begin + r.count - 1}].assign(row, row + logits.cols);
  }
}

using Pair = std::pair<PolicyCase, PolicyCase>;

// Each case with one some places further.
std::vector<Pair> pairs() {
  const std::vector<PolicyCase> cases = policy_cases({Budget::Kind::kTokens, 48});
  std::vector<Pair> all;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    all.emplace_back(cases[i], cases[(i + 9) % cases.size()]);
  }
  return all;
}

class SeveralPolicies : public testing::TestWithParam<Pair> {
 protected:
  void SetUp() override {
    for (const PolicyCase& c : {GetParam().first, GetParam().second}) {
      jobs_.push_back(small_job(c.policy, folder_.path()));
      // Rows in few bits want wide heads, and both jobs run on one model.
      write_tiny_model(jobs_.back().model, true);
    }
    jobs_[1].questions = {1, 3};
    jobs_[1].prefix_rows = 130;
    jobs_[1].chunk = 33;
  }

  Orders orders(const std::vector<std::size_t>& places, std::size_t ranks) const {
    Orders all = make_orders(jobs_[places.front()], ranks);
    if (places.size() == 1) return all;
    const Orders other = make_orders(jobs_[places.back()], ranks);
    all.rows += other.rows;
    all.samples += other.samples;
    all.policies.push_back(other.policies.front());
    all.plain_slots = std::max(all.plain_slots, other.plain_slots);
    all.probe_rows.insert(all.probe_rows.end(), other.probe_rows.begin(), other.probe_rows.end());
    return all;
  }

  Seen run(const std::vector<std::size_t>& places, int ranks) {
    Seen seen;
    std::mutex mutex;
    spawn(ranks, [&](Communicator& comm) {
      Worker worker(orders(places, static_cast<std::size_t>(ranks)), comm,
                    {.count = 1, .cores = {}});
      Together source;
      if (comm.rank() == 0) {
        for (const std::size_t p : places) {
          source.add(p, make_job(jobs_[p], ranks), seen.answers[p]);
        }
      }
      StageHooks hooks;
      hooks.on_logits = [&](const Step& step, ConstMatrix m) { note_logits(step, m, seen); };
      worker.run(comm.rank() == 0 ? &source : nullptr, std::move(hooks));
      const std::lock_guard lock(mutex);
      for (const LayerReceipt& r : worker.receipts()) seen.receipts[{r.layer, r.document}] = r;
    });
    return seen;
  }

  TempFolder folder_;
  std::vector<PipelineCase> jobs_;
};

void expect_sums(const Seen& both, const Seen& one, const Seen& other) {
  const auto of = [](const Seen& seen, const auto& key) {
    const auto found = seen.receipts.find(key);
    return found == seen.receipts.end() ? LayerReceipt{} : found->second;
  };
  for (const auto& [key, receipt] : both.receipts) {
    const LayerReceipt a = of(one, key);
    const LayerReceipt b = of(other, key);
    EXPECT_EQ(receipt.sequences, a.sequences + b.sequences);
    EXPECT_EQ(receipt.rows_kept, a.rows_kept + b.rows_kept);
    EXPECT_EQ(receipt.bytes_after, a.bytes_after + b.bytes_after);
    EXPECT_EQ(receipt.kept_hash, a.kept_hash + b.kept_hash) << "layer " << key.first;
  }
}

TEST_P(SeveralPolicies, SharingStepsLeaveEachJobAsItIsAlone) {
  const Seen first = run({0}, 1);
  const Seen second = run({1}, 1);
  const Seen both = run({0, 1}, 2);
  EXPECT_EQ(both.answers.at(0), first.answers.at(0));
  EXPECT_EQ(both.answers.at(1), second.answers.at(1));
  ASSERT_EQ(both.logits.size(), first.logits.size() + second.logits.size());
  for (const Seen* alone : {&first, &second}) {
    for (const auto& [at, row] : alone->logits) EXPECT_EQ(both.logits.at(at), row);
  }
  expect_sums(both, first, second);
}

std::string name_of(const testing::TestParamInfo<Pair>& info) {
  return info.param.first.name + "_and_" + info.param.second.name;
}
INSTANTIATE_TEST_SUITE_P(Pairs, SeveralPolicies, testing::ValuesIn(pairs()), name_of);

}  // namespace
}  // namespace varve
