#include "common/policy/sequence_rows.h"

#include <gtest/gtest.h>

#include "common/policy/presets.h"

namespace varve {
namespace {

PolicyConfig preset(std::string_view name) {
  return find_preset(name)->policy;
}

void expect_room(const RowRoom& room, std::size_t rows, bool shared) {
  EXPECT_EQ(room.rows, rows);
  EXPECT_EQ(room.shared_positions, shared);
}

TEST(DocumentRoom, IsTheWholeDocumentOrTheBudgetAndAChunk) {
  expect_room(document_room(preset("full"), 1000, 1000), 1000, true);
  expect_room(document_room(preset("snapkv"), 100, 1000), 1000, true);
  expect_room(document_room(preset("streaming_llm"), 100, 5000), 612, false);
  expect_room(document_room(preset("streaming_llm"), 100, 500), 500, false);
  expect_room(document_room(preset("streaming_llm"), 100, 100), 100, true);
}

TEST(DocumentRoom, OfALateSelectionHoldsMoreChunks) {
  PolicyConfig policy = preset("guided");
  expect_room(document_room(policy, 580, 1U << 20U), 580 + 512, false);
  policy.scorer.set("scope", 2);
  expect_room(document_room(policy, 580, 1U << 20U), 580 + 1024, false);
  policy.scorer.set("lag", 0);
  expect_room(document_room(policy, 580, 1U << 20U), 580 + 512, false);
}

TEST(DocumentRoom, ReadLocallyHoldsItsSidesAndAChunk) {
  PolicyConfig policy = preset("guided");
  EXPECT_FALSE(reads_locally(policy, 580, 5000));
  policy.scorer.set("encode", 1);
  EXPECT_TRUE(reads_locally(policy, 580, 581));
  EXPECT_FALSE(reads_locally(policy, 580, 580));
  EXPECT_EQ(own_kept_rows(policy, 580), 512U);
  expect_room(document_room(policy, 580, 5000), 4 + 64 + 512, false);
  expect_room(document_room(policy, 580, 581), 4 + 64 + 512, false);
  expect_room(document_room(policy, 580, 580), 580, true);
  policy.keep_last = {Budget::Kind::kTokens, 512};
  EXPECT_EQ(own_kept_rows(policy, 580), 64U);
  expect_room(document_room(policy, 580, 5000), 4 + 512 + 512, false);
}

TEST(QuestionRoom, IsTheQuestionAndWhatStaysOfItsAnswer) {
  const OwnRows own{20, 1000};
  expect_room(question_room(preset("snapkv"), 100, 100, own), 1020, true);
  expect_room(question_room(preset("scope_slide"), 100, 100, own), 20 + 513, false);
  // What never loses a row shares its positions over the heads.
  expect_room(question_room(preset("scope_slide"), 100, 100, {20, 100}), 120, true);
  expect_room(question_room(preset("scope_slide"), 100, 100, {20, 0}), 20, true);
}

TEST(QuestionRoom, OfOnePoolHoldsACopyOfTheDocumentsRows) {
  expect_room(question_room(preset("h2o"), 100, 100, {20, 1000}), 121, false);
  expect_room(question_room(preset("h2o"), 100, 100, {20, 0}), 120, false);
  expect_room(question_room(preset("h2o"), 100, 80, {20, 5}), 105, false);
  // All of it is within the budget: the document's rows stay shared.
  expect_room(question_room(preset("h2o"), 100, 50, {20, 30}), 50, true);
}

TEST(PoolBudget, OfTokensIsNotCutToAShortDocument) {
  PolicyConfig policy = preset("h2o");
  policy.budget = parse_budget("512");
  EXPECT_EQ(pool_budget(policy, 100, 100), 512U);
  EXPECT_EQ(pool_budget(policy, 512, 1000), 512U);
  policy.budget = parse_budget("50%");
  EXPECT_EQ(pool_budget(policy, 50, 100), 50U);
}

TEST(Positions, OfCompactPoliciesCountWhatIsHeld) {
  EXPECT_TRUE(outlives_context(preset("guided")));
  EXPECT_TRUE(outlives_context(preset("streaming_llm")));
  EXPECT_FALSE(outlives_context(preset("snapkv")));
  EXPECT_EQ(next_position(preset("snapkv"), 100, 1000), 1000U);
  EXPECT_EQ(next_position(preset("guided"), 100, 1000), 100U);
}

TEST(SequenceRows, VotersStandInTheMiddleOfAModel) {
  PolicyConfig policy = preset("guided");
  const auto voters = [&](std::size_t layers) {
    std::vector<std::size_t> found;
    for (std::size_t layer = 0; layer < layers; ++layer) {
      if (votes(policy, layer, layers)) found.push_back(layer);
    }
    return found;
  };
  EXPECT_EQ(voters(12).size(), 12U);
  policy.scorer.set("votes", 1);
  EXPECT_EQ(voters(12), (std::vector<std::size_t>{3, 4, 5, 6, 7}));
  EXPECT_EQ(voters(30).front(), 7U);
  EXPECT_EQ(voters(30).back(), 19U);
  EXPECT_EQ(voters(1), (std::vector<std::size_t>{0}));
  EXPECT_EQ(voters(2), (std::vector<std::size_t>{0, 1}));
}

}  // namespace
}  // namespace varve
