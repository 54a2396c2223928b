// A document that is read locally: whatever a stream keeps of it, its rows are the same, so what is
// computed of a chunk serves every question.
#include <gtest/gtest.h>

#include "tests/support/spawn.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/pipeline/policy_cases.h"
#include "worker/service/worker.h"

namespace varve {
namespace {

constexpr std::uint32_t kPeriod = 40;

// Opens one document, reads it, every row of it being scored, and ends it.
class Reading final : public StepSource {
 public:
  Reading(const BatchJob& job, std::vector<std::int32_t> probe) : tokens_(job.prefix) {
    Step& open = add(StepKind::kOpen);
    open.capacity = open.prompt_rows = count();
    open.questions = 1;
    for (std::uint32_t at = 0; at < count();) {
      const std::uint32_t rows = std::min({job.chunk, count() - at, kPeriod - at % kPeriod});
      add_rows(at, rows, probe);
      at += rows;
    }
    for (const StepKind kind : {StepKind::kCompact, StepKind::kRelease, StepKind::kStop}) add(kind);
  }

  bool next(Step& step) override {
    step = steps_.at(next_++);
    return true;
  }
  void on_result(const StepResult&) override {}

 private:
  std::uint32_t count() const { return static_cast<std::uint32_t>(tokens_.size()); }
  Step& add(StepKind kind) {
    Step& step = steps_.emplace_back();
    step.id = steps_.size() - 1;
    step.kind = kind;
    step.sequence = 0;
    return step;
  }
  void add_rows(std::uint32_t at, std::uint32_t rows, const std::vector<std::int32_t>& probe) {
    Step& step = add(StepKind::kRows);
    step.rows = {{.sequence = 0, .begin = at, .count = rows, .score = true}};
    const auto first = tokens_.begin() + at;
    step.tokens.assign(first, first + rows);
    if ((at + rows) % kPeriod == 0 || at + rows == count()) {
      step.rows.push_back({.sequence = 0,
                           .begin = at + rows,
                           .count = static_cast<std::uint32_t>(probe.size()),
                           .probe = true});
      step.tokens.insert(step.tokens.end(), probe.begin(), probe.end());
    }
  }

  std::vector<std::int32_t> tokens_;
  std::vector<Step> steps_;
  std::size_t next_ = 0;
};

struct Read {
  std::vector<std::vector<float>> logits;  // of every row but the last of each step
  std::uint64_t kept = 0;                  // a hash
};

class LocalEncoding : public testing::TestWithParam<std::tuple<Positions, double>> {
 protected:
  Read read(std::string_view encode, std::vector<std::int32_t> probe, std::uint32_t chunk = 16) {
    PolicyConfig policy = small_preset("guided", {Budget::Kind::kTokens, 48});
    policy.keep_last = {Budget::Kind::kTokens, 16};
    policy.positions = std::get<Positions>(GetParam());
    policy.scorer.set("scope", std::get<double>(GetParam()));
    policy.scorer.set("kernel", 3);
    policy.scorer.set("encode", encode == "local" ? 1 : 0);
    PipelineCase job = small_job(policy, folder_.path());
    job.chunk = chunk;
    job.probes = {probe.size()};
    Read result;
    spawn(1, [&](Communicator& comm) {
      Worker worker(make_orders(job, 1), comm, {.count = 1, .cores = {}});
      Reading source(make_job(job, 1), std::move(probe));
      StageHooks hooks;
      hooks.on_logits = [&](const Step&, ConstMatrix logits) {
        for (std::size_t r = 0; r < logits.rows; ++r) {
          result.logits.emplace_back(logits.row(r), logits.row(r) + logits.cols);
        }
      };
      worker.run(&source, std::move(hooks));
      for (const LayerReceipt& r : worker.receipts()) result.kept += r.kept_hash;
    });
    return result;
  }

  TempFolder folder_;
};

// Logits come out of all layers, so rows that give the same ones have had the same keys and values
// in every layer.
TEST_P(LocalEncoding, GivesTheSameRowsWhateverIsKept) {
  const Read one = read("local", {1, 2, 3});
  const Read other = read("local", {70, 80, 90, 11});
  EXPECT_NE(one.kept, other.kept) << "the probes make no difference, so nothing is tested";
  EXPECT_GT(one.logits.size(), 130U);
  EXPECT_EQ(one.logits, other.logits);
}

TEST_P(LocalEncoding, AgainstTheCacheRowsDependOnWhatIsKept) {
  const Read one = read("cache", {1, 2, 3});
  const Read other = read("cache", {70, 80, 90, 11});
  EXPECT_NE(one.kept, other.kept);
  EXPECT_NE(one.logits, other.logits);
}

INSTANTIATE_TEST_SUITE_P(PositionsAndScopes, LocalEncoding,
                         testing::Combine(testing::Values(Positions::kOriginal,
                                                          Positions::kCompact),
                                          testing::Values(0.0, 1.0)));

}  // namespace
}  // namespace varve
