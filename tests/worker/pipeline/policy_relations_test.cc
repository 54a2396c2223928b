// Laws that relate two policies: ways to one result, and positions of kept rows against a text of
// those rows alone.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/worker/pipeline/policy_cases.h"

namespace varve {
namespace {

constexpr Budget kPart{Budget::Kind::kTokens, 48};
constexpr Budget kAll{Budget::Kind::kTokens, 100000};

class Asked : public testing::TestWithParam<std::string> {
 protected:
  PipelineCase job(Budget budget, std::string_view compaction) const {
    PipelineCase job = small_job(small_preset(GetParam(), budget), folder_.path());
    job.policy.compaction = make_component(compaction);
    job.answer_tokens = 24;
    return job;
  }

  TempFolder folder_;
};

void expect_same_kept(const Outcome& actual, const Outcome& expected, bool document) {
  std::size_t compared = 0;
  for (const auto& [key, receipt] : actual.receipts) {
    if (key.second != document) continue;
    const LayerReceipt& other = expected.receipts.at(key);
    EXPECT_EQ(receipt.rows_kept, other.rows_kept) << "layer " << key.first;
    EXPECT_EQ(receipt.kept_hash, other.kept_hash) << "layer " << key.first;
    ++compared;
  }
  EXPECT_EQ(compared, 5U);
}

// What is observed of the document's attention and of the answer's is one object then.
TEST_P(Asked, ItsScheduleKeepsTheDocumentsRowsThatEveryAnswerKeeps) {
  const PipelineCase dropping = job(kPart, "after_question");
  PipelineCase keeping = dropping;
  keeping.policy.decode = make_component("keep");
  const Outcome outcome = run_on_threads(dropping, 2);
  expect_same_kept(outcome, run_on_threads(keeping, 2), true);
  for (std::uint32_t layer = 0; layer < 5; ++layer) {
    const LayerReceipt& answers = outcome.receipts.at({layer, false});
    EXPECT_LT(answers.rows_kept, answers.rows_seen) << "layer " << layer;
  }
}

TEST_P(Asked, WithRoomForTheDocumentItsAnswersAreThoseOfACompactionBefore) {
  const Outcome asked = run_on_threads(job(kAll, "after_question"), 2);
  const Outcome before = run_on_threads(job(kAll, "after_document"), 2);
  expect_same(asked, before, true, true);
  expect_same_kept(asked, before, false);
}

INSTANTIATE_TEST_SUITE_P(Schedules, Asked,
                         testing::Values("scope_slide", "scope_adaptive", "scope_discontinuous"));

// In a model of one layer, keys and values tell a row's token and position alone, so that a cache
// is the same as that of a text of the kept rows' tokens.
class OneLayer : public testing::TestWithParam<std::string> {
 protected:
  PipelineCase job() const {
    PolicyConfig policy = small_preset("streaming_llm", kPart);
    policy.compaction = make_component(GetParam());
    if (GetParam() == "per_chunk") policy.compaction.set("rows", 40);
    policy.decode = make_component("keep");
    PipelineCase job = small_job(policy, folder_.path());
    write_tiny_model(job.model, false, 1);
    job.layers = 1;
    job.questions = {0, 2, 4};  // greedy: the others draw by their positions
    job.kv_dtype = DType::kF32;
    return job;
  }

  // Of the first rows and the newest, the budget together.
  static PipelineCase kept_alone(const PipelineCase& job) {
    const std::vector<std::int32_t> all = prefix_of(job);
    const auto first = all.begin() + job.policy.keep_first;
    PipelineCase kept = job;
    kept.prefix.assign(all.begin(), first);
    kept.prefix.insert(kept.prefix.end(), all.end() - (48 - (first - all.begin())), all.end());
    kept.prefix_rows = 48;
    kept.policy = {};
    return kept;
  }

  /// The largest difference of any logit.
  static double difference(const PipelineCase& job) {
    const Outcome actual = run_on_threads(job, 1);
    const Outcome expected = run_on_threads(kept_alone(job), 1);
    double most = 0;
    EXPECT_EQ(actual.logits.size(), expected.logits.size());
    for (const auto& [at, row] : actual.logits) {
      const std::vector<float>& other = expected.logits.at({at.first, at.second - (150 - 48)});
      for (std::size_t i = 0; i < row.size(); ++i) {
        most = std::max(most, std::abs(static_cast<double>(row[i]) - other[i]));
      }
    }
    return most;
  }

  TempFolder folder_;
};

constexpr double kRounding = 2e-4;

TEST_P(OneLayer, CompactPositionsAreThoseOfTheKeptRowsAsAText) {
  EXPECT_LT(difference(job()), kRounding);
}

// Attention sees distances alone, so that a text from its middle on is the same text.
TEST_P(OneLayer, OriginalPositionsOfNeighboursAreThoseOfATextUpToAShift) {
  PipelineCase c = job();
  c.policy.positions = Positions::kOriginal;
  c.policy.keep_first = 0;
  EXPECT_LT(difference(c), kRounding);
}

TEST_P(OneLayer, OriginalPositionsKeepTheGapBehindTheFirstRows) {
  PipelineCase c = job();
  c.policy.positions = Positions::kOriginal;
  EXPECT_GT(difference(c), 100 * kRounding);
}

INSTANTIATE_TEST_SUITE_P(Compactions, OneLayer, testing::Values("per_chunk", "after_document"));

}  // namespace
}  // namespace varve
