// What `varve plan` shows for SmolLM2 on 1 to 5 ranks, to the letter, and that the JSON agrees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/coordinator/plan/models.h"

namespace varve {
namespace {

using ::testing::HasSubstr;

Plan plan_for(std::size_t ranks) {
  const ModelConfig model = test::smollm2();
  const PlanOptions options{.ranks = ranks,
                            .cut = {},
                            .memory_limit = std::size_t{400} << 20,
                            .limit_source = "cluster.memory"};
  return make_plan(model, test::f16_weights(model), test::eight_questions(), options);
}

std::string golden(std::size_t ranks) {
  std::ifstream file(std::string(VARVE_SOURCE_DIR) + "/tests/coordinator/plan/golden/smollm2_" +
                     std::to_string(ranks) + ".txt");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class PlanText : public testing::TestWithParam<std::size_t> {};

TEST_P(PlanText, IsTheGoldenOne) {
  EXPECT_EQ(print_plan(plan_for(GetParam())), golden(GetParam()));
}

TEST_P(PlanText, JsonHasTheSameBytes) {
  const Plan plan = plan_for(GetParam());
  const auto json = nlohmann::json::parse(to_json(plan));
  ASSERT_EQ(json["ranks"].size(), GetParam());
  for (std::size_t r = 0; r < GetParam(); ++r) {
    const auto& rank = json["ranks"][r];
    EXPECT_EQ(rank["total_bytes"], plan.ranks[r].bytes.total());
    EXPECT_EQ(rank["kv_bytes"].get<std::size_t>() + rank["weights_bytes"].get<std::size_t>() +
                  rank["workspace_bytes"].get<std::size_t>() +
                  rank["channel_bytes"].get<std::size_t>(),
              rank["total_bytes"].get<std::size_t>());
    EXPECT_EQ(rank["layers"][0], plan.ranks[r].layers.begin);
    EXPECT_EQ(rank["layers"][1], plan.ranks[r].layers.end);
  }
  EXPECT_EQ(json["chunks"], 7);
  EXPECT_EQ(json["limit_bytes"], std::size_t{400} << 20);
  EXPECT_EQ(json["limit_source"], "cluster.memory");
  EXPECT_EQ(json["largest_document_tokens"], *plan.largest_document);
}

INSTANTIATE_TEST_SUITE_P(Ranks, PlanText, testing::Values(1, 2, 3, 4, 5));

TEST(PlanTextLines, NoLimitAndNoDocument) {
  const ModelConfig model = test::smollm2();
  JobDemand demand;
  demand.questions = {{"q1", 5, 8}};
  const Plan plan =
      make_plan(model, test::f16_weights(model), demand, {.ranks = 2, .limit_source = ""});
  const std::string text = print_plan(plan);
  EXPECT_THAT(text, HasSubstr("no prefix; 1 question, 1 at a time"));
  EXPECT_THAT(text, HasSubstr("none\n"));
  EXPECT_THAT(text, Not(HasSubstr("pipeline:")));
  EXPECT_THAT(text, Not(HasSubstr("limit:")));
  EXPECT_TRUE(nlohmann::json::parse(to_json(plan))["limit_bytes"].is_null());
}

}  // namespace
}  // namespace varve
