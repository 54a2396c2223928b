#include "coordinator/eval/eval_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/plan/segment_shape.h"
#include "common/policy/presets.h"
#include "tests/support/small_config.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr LayerRange kAll{0, 3};

ModelConfig small_model() {
  return small_config(3, 32);
}

PolicyConfig preset(std::string_view name, std::string_view budget = "") {
  PolicyConfig policy = find_preset(name)->policy;
  if (!budget.empty()) policy.budget = parse_budget(budget);
  return policy;
}

const EvalShape kShort{.document = 500, .questions = {{10, 20}}, .probes = {7}};
const EvalShape kLong{.document = 1000, .questions = {{10, 20}, {5, 5}}, .probes = {9, 3}};

EvalMemory memory_of(const std::vector<PolicyConfig>& policies, std::size_t parallel,
                     const std::vector<EvalShape>& shapes = {kLong}) {
  return {small_model(),
          {.policies = policies, .shapes = shapes, .chunk = 64, .parallel = parallel}};
}

std::size_t most(const std::vector<PolicyConfig>& policies, std::size_t parallel,
                 const std::vector<EvalShape>& shapes = {kLong}) {
  return memory_of(policies, parallel, shapes).most(kAll);
}

/// In all layers: rows whose positions all heads share, or not.
std::size_t shared(std::size_t rows) {
  return 3 * rows * (2 * 2 * 32 * 2 + 4);
}
std::size_t by_head(std::size_t rows) {
  return 3 * rows * 2 * (2 * 32 * 2 + 4);
}

TEST(EvalMemory, ADocumentAndTheLargestBranchesAtATime) {
  const std::vector<PolicyConfig> policies = {preset("full"), preset("knorm", "100"),
                                              preset("knorm", "300")};
  EXPECT_EQ(most(policies, 1), shared(1000 + 40) + by_head(300));
  EXPECT_EQ(most(policies, 2), shared(1000 + 2 * 40) + by_head(400));
  EXPECT_EQ(most(policies, 3), shared(1000 + 3 * 40) + by_head(400));
  EXPECT_EQ(most(policies, 64), most(policies, 3)) << "each policy once";
}

TEST(EvalMemory, TheLargestShapeCounts) {
  const std::vector<PolicyConfig> policies = {preset("full")};
  EXPECT_EQ(most(policies, 1, {kShort}), shared(500 + 30));
  EXPECT_EQ(most(policies, 1, {kShort, kLong}), most(policies, 1, {kLong}));
  EXPECT_EQ(most(policies, 1, {kLong, kShort}), most(policies, 1, {kLong}));
}

TEST(EvalMemory, TheDocumentObservesForAll) {
  constexpr std::size_t kQueries = 3 * 32 * (4 * 32 * 4 + 4 * 4 + 4);
  const std::size_t mass = 3 * 2 * 1000 * 4;
  EXPECT_EQ(most({preset("full"), preset("snapkv", "100"), preset("scope_slide", "100")}, 1),
            shared(1000 + 40) + kQueries + mass + by_head(100));
}

TEST(EvalMemory, StreamsAloneNeedNoWholeDocument) {
  const std::vector<PolicyConfig> policies = {preset("streaming_llm", "100")};
  EvalShape longer = kLong;
  longer.document = 1U << 20U;
  EXPECT_EQ(most(policies, 4, {longer}), most(policies, 4, {kLong}));
  EXPECT_LT(most(policies, 4, {longer}), shared(2000));
  EXPECT_GT(most({preset("full"), policies[0]}, 1), shared(1000));
}

TEST(EvalMemory, SlotsAndProbesOfTheLargestSample) {
  const EvalMemory streams =
      memory_of({preset("streaming_llm", "100"), preset("streaming_llm", "200")}, 1);
  EXPECT_EQ(streams.plain_slots(), 712U);
  EXPECT_THAT(streams.probe_rows(), IsEmpty());
  const EvalMemory guided = memory_of({preset("guided", "100")}, 1, {kShort, kLong});
  EXPECT_THAT(guided.probe_rows(), ElementsAre(9U, 3U));
  EXPECT_EQ(memory_of({preset("snapkv", "100")}, 1).plain_slots(), 0U);
}

TEST(EvalMemory, QuestionsThatKeepTheirOwnRowsOfADocument) {
  PolicyConfig guided = preset("guided", "200");
  const std::size_t together = most({guided}, 1);
  guided.scorer.set("encode", 1);
  const std::size_t own = 200 - 4 - 64;
  EXPECT_EQ(guided.scorer.choice("encode"), "local");
  EXPECT_GT(most({guided}, 1), together + by_head(own) / 2);
  EXPECT_LT(most({guided}, 1), together + 3 * by_head(own));
}

// Not only at the longest document: one that a stream's budget holds grows, and observes what the
// others ask for.
TEST(EvalMemory, AStreamThatHoldsItsDocumentIsCounted) {
  const PolicyConfig stream = preset("streaming_llm", "990");
  const PolicyConfig asks = preset("expected_attention", "100");
  JobShape job{.prefix_rows = 990, .questions = kLong.questions, .parallel = 2, .chunk = 64};
  job.policy = stream;
  job.observed = document_needs(asks);
  const std::size_t grown = CachePlan(small_model(), job).branch(kAll);
  const EvalMemory memory = memory_of({stream, asks}, 1);
  const std::size_t work = plain_keys_bytes(small_model(), 64, memory.plain_slots(), DType::kF16);
  EXPECT_GE(memory.most(kAll), shared(1000) + grown + work);
}

}  // namespace
}  // namespace varve
