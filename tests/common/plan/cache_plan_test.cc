#include "common/plan/cache_plan.h"

#include <gtest/gtest.h>

#include "common/plan/segment_shape.h"
#include "common/policy/presets.h"
#include "tests/support/small_config.h"

namespace varve {
namespace {

constexpr std::size_t kRows = 1000;
constexpr LayerRange kAll{0, 3};

ModelConfig small_model() {
  return small_config(3, 32);
}

JobShape job_of(std::string_view preset, std::string_view budget = "") {
  JobShape job{.prefix_rows = kRows,
               .questions = {{10, 20}, {30, 40}, {5, 5}},
               .parallel = 2,
               .chunk = 64,
               .in_flight = 1,
               .kv_dtype = DType::kF16,
               .policy = find_preset(preset)->policy};
  if (!budget.empty()) job.policy.budget = parse_budget(budget);
  return job;
}

/// One layer's bytes of rows whose positions all heads share, or not.
std::size_t shared(std::size_t rows) {
  return rows * (2 * 2 * 32 * 2 + 4);
}
std::size_t by_head(std::size_t rows) {
  return rows * 2 * (2 * 32 * 2 + 4);
}
constexpr std::size_t kOwn = 70 + 30;  // of the two largest questions
constexpr std::size_t kQuery = 4 * 32 * 4 + 4 * 4 + 4;

TEST(CachePlan, OfFullHoldsEverything) {
  const CachePlan plan(small_model(), job_of("full"));
  EXPECT_EQ(plan.peak(kAll), 3 * shared(kRows + kOwn));
  EXPECT_EQ(plan.answering(kAll), plan.peak(kAll));
  EXPECT_EQ(plan.budget(), kRows);
  EXPECT_TRUE(plan.is_exact());
}

TEST(CachePlan, CompactsLayerAfterLayer) {
  const CachePlan plan(small_model(), job_of("knorm", "100"));
  EXPECT_EQ(plan.peak(kAll), 3 * shared(kRows) + by_head(100));
  EXPECT_EQ(plan.peak({1, 2}), shared(kRows) + by_head(100));
  EXPECT_EQ(plan.kept(kAll), 3 * by_head(100));
  EXPECT_EQ(plan.answering(kAll), 3 * (by_head(100) + shared(kOwn)));
}

// Kept rows have positions by head: where all are kept, copies are larger than what they replace.
TEST(CachePlan, PeaksAtTheLastLayerWhereAllIsKept) {
  JobShape job = job_of("knorm", "100%");
  job.questions.clear();
  EXPECT_EQ(CachePlan(small_model(), job).peak(kAll), 3 * by_head(kRows) + shared(kRows));
}

TEST(CachePlan, CountsWhatAScorerObserves) {
  const CachePlan window(small_model(), job_of("snapkv", "100"));
  EXPECT_EQ(window.peak(kAll), 3 * (shared(kRows) + 32 * kQuery) + by_head(100));
  const CachePlan mass(small_model(), job_of("scope_slide", "100"));
  EXPECT_EQ(mass.peak(kAll), 3 * (shared(kRows) + 2 * kRows * 4) + by_head(100));
}

TEST(CachePlan, StreamsHoldABudgetWhateverTheLength) {
  JobShape job = job_of("streaming_llm", "100");
  const std::size_t peak = CachePlan(small_model(), job).peak(kAll);
  job.prefix_rows = 1U << 20U;
  const CachePlan plan(small_model(), job);
  EXPECT_EQ(plan.peak(kAll), peak);
  EXPECT_EQ(plan.plain_slots(), 612U);
  EXPECT_EQ(peak, 3 * by_head(612) + by_head(100) +
                      plain_keys_bytes(small_model(), 64, 612, DType::kF16));
}

TEST(CachePlan, OneQuestionThatChoosesLetsTheDocumentGo) {
  JobShape job = job_of("snapkv", "100");
  job.policy.compaction = make_component("after_question");
  job.questions = {{10, 20}};
  const CachePlan alone(small_model(), job);
  const std::size_t seen = 32 * kQuery;
  EXPECT_EQ(alone.peak(kAll), 3 * (shared(kRows) + 2 * seen + shared(30)));
  EXPECT_TRUE(alone.is_exact());
}

TEST(CachePlan, SeveralQuestionsThatChooseHoldACopyEach) {
  JobShape job = job_of("knorm", "900");
  job.policy.compaction = make_component("after_question");
  const CachePlan plan(small_model(), job);
  EXPECT_EQ(plan.peak(kAll), 3 * (shared(kRows) + shared(kOwn) + 2 * by_head(900)));
  EXPECT_EQ(plan.answering(kAll), 3 * (shared(kOwn) + 2 * by_head(900)));
  EXPECT_FALSE(plan.is_exact());
}

TEST(CachePlan, FewBitsAreStagedAsFloatsOneLayerAtATime) {
  JobShape job = job_of("kivi4");
  job.questions.clear();
  const CachePlan plan(small_model(), job);
  const auto few = [](std::size_t rows) {
    return segment_bytes(SegmentShape::even(small_model(), rows, DType::kInt4, false), 32);
  };
  EXPECT_EQ(plan.kept(kAll), 3 * (few(872) + by_head(128)));
  EXPECT_EQ(plan.peak(kAll), 3 * shared(kRows) + few(872) + by_head(872));
}

TEST(CachePlan, ABoundCoversEveryWayToSpreadABudget) {
  JobShape job = job_of("zigzagkv", "100");
  job.questions.clear();
  const CachePlan plan(small_model(), job);
  EXPECT_FALSE(plan.is_exact());
  EXPECT_EQ(plan.kept(kAll), 3 * by_head(100));
  // Two layers have at least the window and one more row.
  EXPECT_EQ(plan.kept({0, 1}), by_head(300 - 2 * 33));
  EXPECT_GE(plan.peak(kAll), 3 * (shared(kRows) + 32 * kQuery) + by_head(300 - 2 * 33));
}

// As an evaluation tries policies: on forks of one document that keeps every row.
TEST(CachePlan, AForkHoldsItsCopyAndItsQuestions) {
  const CachePlan full(small_model(), job_of("full"));
  EXPECT_EQ(full.document(kAll), 3 * shared(kRows));
  EXPECT_EQ(full.branch(kAll), 3 * shared(kOwn));
  const CachePlan few(small_model(), job_of("knorm", "100"));
  EXPECT_EQ(few.branch(kAll), 3 * (by_head(100) + shared(kOwn)));
  EXPECT_EQ(few.branch({1, 2}), by_head(100) + shared(kOwn));
  JobShape job = job_of("kivi4");
  job.questions = {};
  // The last layer is staged as floats while the others are there.
  const auto bits = [](std::size_t rows) {
    return segment_bytes(SegmentShape::even(small_model(), rows, DType::kInt4, false), 32);
  };
  EXPECT_EQ(CachePlan(small_model(), job).branch(kAll),
            2 * (bits(872) + by_head(128)) + bits(872) + by_head(872));
}

TEST(CachePlan, AForkOfAStreamIsADocumentOfItsOwn) {
  const CachePlan plan(small_model(), job_of("streaming_llm", "100"));
  EXPECT_EQ(plan.branch(kAll) + plain_keys_bytes(small_model(), 64, 612, DType::kF16),
            plan.peak(kAll));
}

TEST(CachePlan, ForksObserveWhatOthersAskOfTheDocument) {
  JobShape job = job_of("snapkv", "100");
  job.observed.mass = true;
  const std::size_t seen = 32 * kQuery + 2 * kRows * 4;
  EXPECT_EQ(CachePlan(small_model(), job).document(kAll), 3 * (shared(kRows) + seen));
  EXPECT_EQ(CachePlan(small_model(), job).branch(kAll), 3 * (by_head(100) + shared(kOwn)));
  // Each question has a copy of it: at most when one has compacted its rows, and the other all but
  // the last layer's.
  job.policy.compaction = make_component("after_question");
  EXPECT_EQ(CachePlan(small_model(), job).branch(kAll),
            3 * (shared(kOwn) + 2 * by_head(100)) + seen);
  // A stream is read for its own policy.
  JobShape stream = job_of("streaming_llm", "100");
  const std::size_t alone = CachePlan(small_model(), stream).peak(kAll);
  stream.observed.mass = true;
  EXPECT_EQ(CachePlan(small_model(), stream).peak(kAll), alone);
}

TEST(CachePlan, AFootprintIsItsPeak) {
  const WeightBytes weights{{1, 1, 1}, 1, 1, 1};
  const JobShape job = job_of("pyramidkv", "20%");
  const CachePlan plan(small_model(), job);
  for (const LayerRange range : {LayerRange{0, 1}, LayerRange{1, 3}, kAll}) {
    EXPECT_EQ(footprint(small_model(), weights, range, job).kv, plan.peak(range));
  }
  EXPECT_GT(plan.kept({0, 1}), plan.kept({2, 3}));
}

}  // namespace
}  // namespace varve
