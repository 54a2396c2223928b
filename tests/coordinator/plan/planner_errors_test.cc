#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/coordinator/plan/models.h"

namespace varve {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

template <class E>
std::string message_of(const ModelConfig& model, const JobDemand& demand,
                       const PlanOptions& options) {
  try {
    make_plan(model, test::f16_weights(model), demand, options);
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error of that class";
  return {};
}

PlanOptions limited(std::size_t ranks, std::size_t bytes) {
  return {.ranks = ranks, .cut = {}, .memory_limit = bytes, .limit_source = "cluster.memory"};
}

TEST(PlannerErrors, MoreRanksThanLayers) {
  EXPECT_EQ(message_of<PlanError>(test::small_model(4), test::eight_questions(), {.ranks = 5}),
            "5 ranks for the 4 layers of small: a rank needs at least one layer, so start at most "
            "4");
}

TEST(PlannerErrors, CutThatDoesNotMatchTheModel) {
  EXPECT_EQ(message_of<ConfigError>(test::small_model(4), test::eight_questions(),
                                    {.ranks = 2, .cut = std::vector<LayerRange>{{0, 2}, {2, 5}}}),
            "the cut 0:2, 2:5 is wrong: it ends at layer 5, the model has 4");
}

TEST(PlannerErrors, DocumentLongerThanTheContext) {
  JobDemand demand = test::eight_questions();
  demand.document_tokens = 5000;
  demand.prefix_tokens = 5031;
  EXPECT_EQ(message_of<ConfigError>(test::small_model(4), demand, {.ranks = 2}),
            "the document is too long: its 5000 tokens, 5031 with what stands before it, are 935 "
            "more than the 4096 of small's context; policy full keeps every row and cannot go "
            "beyond the trained context; a streaming policy can: streaming_llm, guided");
}

TEST(PlannerErrors, EveryQuestionThatIsTooLongIsNamed) {
  JobDemand demand;
  demand.prefix_tokens = demand.document_tokens = 4000;
  demand.questions = {{"fits", 96, 5}, {"over", 97, 5}, {"far", 5000, 5}, {"none", 0, 5}};
  EXPECT_EQ(message_of<ConfigError>(test::small_model(4), demand, {.ranks = 2}),
            "question 'over' is too long: its 97 tokens after the 4000 of the document are 1 more "
            "than the 4096 of small's context\n"
            "question 'far' is too long: its 5000 tokens alone are 904 more than the 4096 of "
            "small's context\n"
            "question 'none' has no tokens\n"
            "policy full keeps every row and cannot go beyond the trained context; a streaming "
            "policy can: streaming_llm, guided");
}

TEST(PlannerErrors, EmptyQuestionAlone) {
  JobDemand demand;
  demand.questions = {{"none", 0, 5}};
  EXPECT_EQ(message_of<ConfigError>(test::small_model(4), demand, {.ranks = 1}),
            "question 'none' has no tokens");
}

TEST(PlannerErrors, TooLittleMemoryNamesTheShortRankAndWhatWouldFit) {
  const ModelConfig model = test::smollm2();
  JobDemand demand = test::eight_questions();
  demand.parallel = 8;
  const std::size_t limit = std::size_t{200} << 20;
  const std::string text = message_of<PlanError>(model, demand, limited(2, limit));
  EXPECT_EQ(text,
            "the job does not fit 2 ranks: rank 0 (layers 0:15) needs 215.57 MiB (weights 155.32 "
            "MiB, KV 46.61 MiB, workspace 11.39 MiB, buffers 2.25 MiB) and has 200 MiB "
            "(cluster.memory)\n"
            "  the largest document that fits 2 ranks has 2079 tokens; this one has 3490\n"
            "  the job as it is fits 3 ranks");
}

// What the message offers must be true, and the next better offer false.
TEST(PlannerErrors, OffersHold) {
  const ModelConfig model = test::small_model(8);
  const WeightBytes weights = test::f16_weights(model);
  JobDemand demand = test::eight_questions();
  demand.parallel = 8;
  demand.chunk = 64;
  const Plan three = make_plan(model, weights, demand, {.ranks = 3});
  std::size_t limit = 0;
  for (const RankPlan& r : three.ranks) limit = std::max(limit, r.bytes.total());
  const std::string text = message_of<PlanError>(model, demand, limited(2, limit));
  EXPECT_THAT(text, HasSubstr("\n  the job as it is fits 3 ranks"));

  const auto number_after = [&](const std::string& before) {
    const std::size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos) << text;
    return static_cast<std::size_t>(std::stoul(text.substr(at + before.size())));
  };
  JobDemand shorter = demand;
  shorter.document_tokens = number_after("the largest document that fits 2 ranks has ");
  shorter.prefix_tokens = shorter.document_tokens + 31;
  EXPECT_NO_THROW(make_plan(model, weights, shorter, limited(2, limit)));
  ++shorter.document_tokens;
  ++shorter.prefix_tokens;
  EXPECT_THROW(make_plan(model, weights, shorter, limited(2, limit)), PlanError);
}

TEST(PlannerErrors, FewerQuestionsAtATimeAreOfferedWhereTheyHelp) {
  const ModelConfig model = test::small_model(4);
  const WeightBytes weights = test::f16_weights(model);
  JobDemand demand = test::eight_questions();
  demand.parallel = 5;
  const std::size_t limit = make_plan(model, weights, demand, {.ranks = 1}).ranks[0].bytes.total();
  demand.parallel = 8;
  EXPECT_THAT(message_of<PlanError>(model, demand, limited(1, limit)),
              HasSubstr("\n  it fits with decode.parallel 5 instead of 8"));
}

TEST(PlannerErrors, NothingHelps) {
  EXPECT_THAT(message_of<PlanError>(test::smollm2(), test::eight_questions(), limited(2, 1 << 20)),
              AllOf(HasSubstr("\n  no document fits 2 ranks"),
                    HasSubstr("\n  more ranks do not help: even 30, one layer each, are too few"),
                    Not(HasSubstr("decode.parallel"))));
}

TEST(PlannerErrors, GivenCutIsHeldToTheLimit) {
  const ModelConfig model = test::small_model(8);
  const WeightBytes weights = test::f16_weights(model);
  const JobDemand demand = test::eight_questions();
  const Plan even = make_plan(model, weights, demand, {.ranks = 2});
  const std::size_t limit = std::max(even.ranks[0].bytes.total(), even.ranks[1].bytes.total());
  PlanOptions options = limited(2, limit);
  EXPECT_NO_THROW(make_plan(model, weights, demand, options));
  options.cut = std::vector<LayerRange>{{0, 1}, {1, 8}};
  EXPECT_THAT(message_of<PlanError>(model, demand, options),
              HasSubstr("rank 1 (layers 1:8) needs"));
}

}  // namespace
}  // namespace varve
