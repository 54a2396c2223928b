// Memory is planned: what each rank's caches hold, at their peak and after every step, against what
// the planner said before the job began.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "common/plan/cache_plan.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/pipeline/policy_cases.h"
#include "worker/model/model.h"

namespace varve {
namespace {

void expect_bytes(std::size_t held, std::size_t planned, bool exact) {
  if (exact) {
    EXPECT_EQ(held, planned);
  } else {
    EXPECT_LE(held, planned);
  }
}

// From the last compaction on, and all the time where there is none, questions are answered.
std::size_t most_while_answering(const HeldBytes& held, const std::vector<StepKind>& steps) {
  const auto last = std::find(steps.rbegin(), steps.rend(), StepKind::kCompact);
  const auto begin = last == steps.rend() ? 0 : steps.rend() - last - 1;
  return *std::max_element(held.after.begin() + begin, held.after.end());
}

void expect_as_planned(const HeldBytes& held, const CachePlan& plan, LayerRange layers,
                       const std::vector<StepKind>& steps) {
  ASSERT_EQ(held.after.size(), steps.size());
  expect_bytes(held.peak, plan.peak(layers), plan.is_exact());
  expect_bytes(most_while_answering(held, steps), plan.answering(layers), plan.is_exact());
  EXPECT_EQ(held.after.back(), plan.answering({layers.begin, layers.begin}))
      << "work memory alone is left when all sequences have ended";
}

class HeldBytesTest : public testing::Test {
 protected:
  void expect_planned(PipelineCase job) {
    const CachePlan plan(load_model_header(job.model).config(), shape_of(job));
    job.plain_slots = plan.plain_slots();
    for (std::size_t ranks = kSanitized ? 3 : 1; ranks <= 3; ++ranks) {
      const Outcome outcome = run_on_threads(job, static_cast<int>(ranks));
      ASSERT_EQ(outcome.held.size(), ranks);
      for (std::size_t r = 0; r < ranks; ++r) {
        SCOPED_TRACE(testing::Message() << "rank " << r << " of " << ranks);
        expect_as_planned(outcome.held.at(static_cast<int>(r)), plan, layers_of(job, r, ranks),
                          outcome.steps);
      }
    }
  }

  TempFolder folder_;
};

class HeldBytesOf : public HeldBytesTest, public testing::WithParamInterface<PolicyCase> {};

TEST_P(HeldBytesOf, EveryRankAreWhatWasPlanned) {
  PipelineCase job = small_job(GetParam().policy, folder_.path());
  for (const auto& [dtype, questions, parallel, answer] :
       {std::tuple{DType::kF16, std::vector<std::size_t>{0, 1, 2, 5}, 8U, 9U},
        {DType::kF32, {0, 1, 2, 5}, 2U, 9U},
        {DType::kF32, {1, 5}, 8U, 70U},
        {DType::kF16, {5}, 1U, 9U}}) {
    job.kv_dtype = dtype;
    job.questions = questions;
    job.parallel = parallel;
    job.answer_tokens = answer;
    SCOPED_TRACE(testing::Message() << questions.size() << " questions, " << parallel
                                    << " at a time, answers of " << answer);
    expect_planned(job);
  }
}

// One selection for each stage depends on the cut, so it is none of the cases that all laws hold
// for.
TEST_F(HeldBytesTest, EveryRankAreWhatWasPlannedWithOneSelectionForAStage) {
  PolicyConfig policy = small_preset("guided", {Budget::Kind::kTokens, 48});
  policy.keep_last = {Budget::Kind::kTokens, 8};
  policy.scorer.set("scope", 1);
  expect_planned(small_job(policy, folder_.path()));
  policy.scorer.set("encode", 1);
  expect_planned(small_job(policy, folder_.path()));
}

std::string name_of(const testing::TestParamInfo<PolicyCase>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(PartOfTheRows, HeldBytesOf,
                         testing::ValuesIn(policy_cases({Budget::Kind::kTokens, 48})), name_of);
INSTANTIATE_TEST_SUITE_P(Percent, HeldBytesOf,
                         testing::ValuesIn(policy_cases({Budget::Kind::kPercent, 61})), name_of);
INSTANTIATE_TEST_SUITE_P(AllRows, HeldBytesOf,
                         testing::ValuesIn(policy_cases({Budget::Kind::kTokens, 100000})), name_of);

}  // namespace
}  // namespace varve
