#include "coordinator/plan/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/plan/layer_cut.h"
#include "common/plan/question.h"
#include "coordinator/plan/fit.h"
#include "tests/coordinator/plan/models.h"

namespace varve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::size_t> layer_counts(const Plan& plan) {
  std::vector<std::size_t> counts;
  for (const RankPlan& r : plan.ranks) counts.push_back(r.layers.count());
  return counts;
}

TEST(Planner, EveryNumberOfRanksUpToTheLayersGetsACut) {
  const ModelConfig model = test::smollm2();
  for (std::size_t ranks = 1; ranks <= model.layers; ++ranks) {
    const Plan plan =
        make_plan(model, test::f16_weights(model), test::eight_questions(), {.ranks = ranks});
    EXPECT_EQ(cut_problem(plan.stages(), model.layers, ranks), "");
    double most = 0;
    for (const RankPlan& r : plan.ranks) most = std::max(most, r.work);
    EXPECT_EQ(most, 1.0);
  }
}

TEST(Planner, ThirtyLayersOnFourAndFiveRanks) {
  const ModelConfig model = test::smollm2();
  JobDemand reading = test::eight_questions();
  for (QuestionShape& q : reading.questions) q.max_tokens = 1;
  const auto counts = [&](std::size_t ranks) {
    auto c = layer_counts(make_plan(model, test::f16_weights(model), reading, {.ranks = ranks}));
    std::sort(c.begin(), c.end());
    return c;
  };
  EXPECT_THAT(counts(4), ElementsAre(7, 7, 8, 8));
  EXPECT_THAT(counts(5), ElementsAre(6, 6, 6, 6, 6));
}

TEST(Planner, BytesAreTheFootprint) {
  const ModelConfig model = test::small_model(7);
  const WeightBytes weights = test::f16_weights(model);
  JobDemand demand = test::eight_questions();
  demand.parallel = 3;
  demand.chunk = 33;
  demand.in_flight = 4;
  demand.kv_dtype = DType::kF32;
  const Plan plan = make_plan(model, weights, demand, {.ranks = 3});
  for (const RankPlan& r : plan.ranks) {
    const Footprint want = footprint(model, weights, r.layers, plan.shape);
    EXPECT_EQ(r.bytes.total(), want.total());
    EXPECT_EQ(r.bytes.kv, want.kv);
  }
  // Questions have 21 to 28 tokens; the three largest decide.
  const std::size_t rows = 3521 + (26 + 63) + (27 + 63) + (28 + 63);
  EXPECT_EQ(plan.ranks[0].bytes.kv,
            plan.ranks[0].layers.count() * segment_bytes(model, rows, DType::kF32));
}

TEST(Planner, PricesOfRangesAreTheFootprintsTotals) {
  const ModelConfig model = test::small_model(5);
  const WeightBytes weights = test::f16_weights(model);
  JobDemand demand = test::eight_questions();
  for (std::size_t i = 0; i < demand.questions.size(); ++i) demand.questions[i].tokens = 3 + 7 * i;
  const JobShape shape = shape_of(model, demand, demand.prefix_tokens, 3);
  const PriceTable prices = price_bytes(model, weights, shape);
  for (std::size_t begin = 0; begin < 5; ++begin) {
    for (std::size_t end = begin + 1; end <= 5; ++end) {
      EXPECT_EQ(prices.at({begin, end}).bytes,
                footprint(model, weights, {begin, end}, shape).total());
    }
  }
}

TEST(Planner, HeavyHeadTakesLayersFromTheLastRankWhenDecodingDominates) {
  ModelConfig model = test::small_model(12);
  model.vocab = 20000;
  JobDemand reading = test::eight_questions();
  reading.questions.resize(1);
  reading.questions[0].max_tokens = 1;
  JobDemand writing;
  writing.prefix_tokens = writing.document_tokens = 16;
  writing.questions = {{"q1", 4, 2000}};
  const WeightBytes weights = test::f16_weights(model);
  const auto last = [&](const JobDemand& demand) {
    return layer_counts(make_plan(model, weights, demand, {.ranks = 3})).back();
  };
  EXPECT_EQ(last(reading), 4U);
  EXPECT_EQ(last(writing), 1U);
}

TEST(Planner, MemoryLimitOverrulesSpeed) {
  const ModelConfig model = test::small_model(8);
  // The embedding takes memory and no time.
  const WeightBytes weights{std::vector<std::size_t>(8, 300'000), 2'500'000, 0, 0};
  JobDemand demand;
  demand.prefix_tokens = demand.document_tokens = 100;
  demand.questions = {{"q1", 4, 2}};
  demand.chunk = 16;
  const Plan free = make_plan(model, weights, demand, {.ranks = 2});
  EXPECT_THAT(layer_counts(free), ElementsAre(4, 4));
  const Plan bound =
      make_plan(model, weights, demand,
                {.ranks = 2, .cut = {}, .memory_limit = 3'200'000, .limit_source = "test"});
  EXPECT_THAT(layer_counts(bound), ElementsAre(2, 6));
  for (const RankPlan& r : bound.ranks) EXPECT_LE(r.bytes.total(), 3'200'000U);
}

TEST(Planner, GivenCutIsKeptAndABetterOneNamed) {
  const ModelConfig model = test::small_model(10);
  const std::vector<LayerRange> cut{{0, 1}, {1, 10}};
  const Plan plan =
      make_plan(model, test::f16_weights(model), test::eight_questions(), {.ranks = 2, .cut = cut});
  EXPECT_EQ(plan.stages(), cut);
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("the cut was given; 0:5, 5:10 would take about")));
}

TEST(Planner, GoodGivenCutGetsNoRemark) {
  const ModelConfig model = test::small_model(10);
  const Plan plan = make_plan(model, test::f16_weights(model), test::eight_questions(),
                              {.ranks = 2, .cut = std::vector<LayerRange>{{0, 5}, {5, 10}}});
  EXPECT_THAT(plan.notes, IsEmpty());
}

TEST(Planner, QuestionsAtATimeAreAsAskedButNoMoreThanThereAre) {
  const ModelConfig model = test::small_model(4);
  JobDemand demand = test::eight_questions();
  const auto parallel = [&] {
    return make_plan(model, test::f16_weights(model), demand, {.ranks = 2}).shape.parallel;
  };
  EXPECT_EQ(parallel(), 8U);
  demand.parallel = 3;
  EXPECT_EQ(parallel(), 3U);
  demand.parallel = 100;
  EXPECT_EQ(parallel(), 8U);
}

TEST(Planner, OpenNumberOfQuestionsAtATimeShrinksToWhatFits) {
  const ModelConfig model = test::small_model(4);
  const WeightBytes weights = test::f16_weights(model);
  JobDemand demand = test::eight_questions();
  demand.parallel = 5;
  const Plan five = make_plan(model, weights, demand, {.ranks = 1});
  const std::size_t limit = five.ranks[0].bytes.total();
  demand.parallel.reset();
  const Plan plan = make_plan(model, weights, demand,
                              {.ranks = 1, .cut = {}, .memory_limit = limit, .limit_source = "x"});
  EXPECT_EQ(plan.shape.parallel, 5U);
  EXPECT_THAT(plan.notes, ElementsAre("5 of 8 questions at a time: more do not fit the memory"));
}

TEST(Planner, AnswerThatTheContextCutsIsPlannedAndNoted) {
  const ModelConfig model = test::small_model(4);
  JobDemand demand;
  demand.prefix_tokens = demand.document_tokens = 4000;
  demand.questions = {{"short", 6, 10}, {"long", 16, 500}};
  const Plan plan = make_plan(model, test::f16_weights(model), demand, {.ranks = 2});
  EXPECT_THAT(plan.shape.questions, ElementsAre(OwnRows{6, 9}, OwnRows{16, 80}));
  EXPECT_THAT(plan.notes, ElementsAre("the answer to 'long' ends at 81 tokens, where the context "
                                      "does; 500 were asked for"));
}

TEST(Planner, CountsChunksTurnsAndBoundaryBytes) {
  const ModelConfig model = test::small_model(6);
  JobDemand demand;
  demand.prefix_tokens = demand.document_tokens = 1025;
  demand.questions = {{"q1", 5, 4}, {"q2", 7, 1}};
  demand.chunk = 256;
  const Plan plan = make_plan(model, test::f16_weights(model), demand, {.ranks = 3});
  EXPECT_EQ(plan.chunks, 5U);
  EXPECT_DOUBLE_EQ(plan.fill, 5.0 / 7.0);
  EXPECT_EQ(plan.boundary_chunk, 256U * 32 * 4);
  EXPECT_EQ(plan.boundary_job, (1025U + 5 + 7 + 3) * 32 * 4);
}

TEST(Planner, LargestDocumentFitsAndOneMoreTokenDoesNot) {
  const ModelConfig model = test::small_model(6);
  const WeightBytes weights = test::f16_weights(model);
  JobDemand demand = test::eight_questions();
  demand.prefix_tokens = 530;
  demand.document_tokens = 500;
  demand.parallel = 8;
  PlanOptions options{.ranks = 2, .cut = {}, .memory_limit = {}, .limit_source = "test"};
  const Plan free = make_plan(model, weights, demand, options);
  options.memory_limit = std::max(free.ranks[0].bytes.total(), free.ranks[1].bytes.total()) + 77777;
  const Plan plan = make_plan(model, weights, demand, options);
  ASSERT_TRUE(plan.largest_document);
  EXPECT_GT(*plan.largest_document, 500U);
  EXPECT_THAT(plan.document_bound, HasSubstr("is full first"));
  demand.document_tokens = *plan.largest_document;
  demand.prefix_tokens = *plan.largest_document + 30;
  EXPECT_NO_THROW(make_plan(model, weights, demand, options));
  ++demand.document_tokens;
  ++demand.prefix_tokens;
  EXPECT_THROW(make_plan(model, weights, demand, options), PlanError);
}

TEST(Planner, LargestDocumentEndsWhereTheContextDoes) {
  const ModelConfig model = test::small_model(6);
  JobDemand demand = test::eight_questions();
  const Plan plan = make_plan(
      model, test::f16_weights(model), demand,
      {.ranks = 2, .cut = {}, .memory_limit = std::size_t{1} << 30, .limit_source = "test"});
  // 31 tokens before the document, 28 of the longest question, 63 rows of its answer.
  EXPECT_EQ(plan.largest_document, 4096U - 31 - 28 - 63);
  EXPECT_EQ(plan.document_bound, "the model's context ends there");
}

TEST(Planner, NoDocumentAndNoQuestionsArePlannable) {
  const ModelConfig model = test::small_model(3);
  const Plan plan = make_plan(model, test::f16_weights(model), {}, {.ranks = 2});
  EXPECT_EQ(plan.chunks, 0U);
  EXPECT_EQ(plan.ranks[0].bytes.kv, 0U);
  EXPECT_EQ(plan.shape.parallel, 1U);
}

}  // namespace
}  // namespace varve
