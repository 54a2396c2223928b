#include "coordinator/eval/matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/policy/presets.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

PolicyConfig preset(std::string_view name, std::string_view budget = "") {
  PolicyConfig policy = find_preset(name)->policy;
  if (!budget.empty()) policy.budget = parse_budget(budget);
  return policy;
}

TEST(PolicyLabel, NamesWhatDiffersFromThePreset) {
  EXPECT_EQ(policy_label(preset("guided")), "guided");
  PolicyConfig policy = preset("guided");
  policy.scorer.set("scope", 2);
  EXPECT_EQ(policy_label(policy), "guided {scope=global}");
  policy.scorer.set("lag", 2);
  policy.compaction.set("rows", 256);
  EXPECT_EQ(policy_label(policy), "guided {scope=global, lag=2, rows=256}");
}

TEST(PolicyLabel, NamesOtherVariantsByTheirSlot) {
  PolicyConfig policy = preset("snapkv");
  policy.compaction = make_component("after_question");
  EXPECT_EQ(policy_label(policy), "snapkv {compaction: after_question}");
  policy.allocation = make_component("pyramid", {{"beta", 10}});
  EXPECT_EQ(policy_label(policy),
            "snapkv {allocation: pyramid {beta=10}, compaction: after_question}");
}

TEST(PolicyLabel, NamesWhatIsKeptAndPositions) {
  PolicyConfig policy = preset("keydiff");
  policy.keep_first = 4;
  policy.keep_last = parse_budget("50%");
  policy.positions = Positions::kCompact;
  EXPECT_EQ(policy_label(policy), "keydiff {first: 4, last: 50%, positions: compact}");
}

EvalMatrix one_cell(PolicyConfig policy) {
  return {.tasks = {{"pass_key", {}}}, .lengths = {4096}, .policies = {std::move(policy)}};
}

// Samples that users have measured are found by these: a change here throws them away.
TEST(CellKey, StaysAsItIs) {
  const EvalBasis basis{.model_sha256 = "m",
                        .text_sha256 = "t",
                        .chat_template = "chatml",
                        .system = "",
                        .kv_dtype = "f16",
                        .seed = 1};
  EXPECT_EQ(cell_key(basis, one_cell(preset("full")), {0, 0, 0}), "488fdb11e89b9e1c");
  EXPECT_EQ(cell_key(basis, one_cell(preset("guided", "580")), {0, 0, 0}), "f19bbbf0309e287d");
  EvalBasis other = basis;
  other.seed = 2;
  EXPECT_NE(cell_key(other, one_cell(preset("full")), {0, 0, 0}),
            cell_key(basis, one_cell(preset("full")), {0, 0, 0}));
}

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

ModelConfig small_model() {
  ModelConfig model;
  model.name = "small";
  model.layers = 2;
  model.q_heads = 2;
  model.kv_heads = 1;
  model.head_dim = 16;
  model.context = 2048;
  return model;
}

TEST(CheckMatrix, LengthsBeyondTheContext) {
  EvalMatrix matrix = one_cell(preset("full"));
  matrix.policies.push_back(preset("guided", "300"));
  const std::string error = error_of([&] { check_matrix(matrix, small_model(), DType::kF16, 1); });
  EXPECT_THAT(error, AllOf(HasSubstr("lengths: 4096 tokens are more than the context of small, "
                                     "2048, and policy full all does not go beyond it"),
                           Not(HasSubstr("guided"))));
}

TEST(CheckMatrix, EveryPolicyThatCannotBe) {
  EvalMatrix matrix = one_cell(preset("kivi4"));
  matrix.lengths = {1024};
  matrix.policies.push_back(preset("guided", "300"));
  matrix.policies.back().scorer.set("scope", 2);
  matrix.policies.back().scorer.set("lag", 0);
  EXPECT_THAT(error_of([&] { check_matrix(matrix, small_model(), DType::kF16, 3); }),
              AllOf(HasSubstr("policies: kivi4 all: policy.storage: int4 groups 32 channels"),
                    HasSubstr("\npolicies: guided {scope=global, lag=0} 300: policy.scorer.guided: "
                              "scope global with lag 0 would have 3 ranks wait")));
}

TEST(CheckMatrix, MomentsThatCannotBeShared) {
  EvalMatrix matrix = one_cell(preset("expected_attention", "100"));
  matrix.lengths = {1024};
  matrix.policies.push_back(preset("expected_attention", "100"));
  matrix.policies.back().budget = parse_budget("50");
  check_matrix(matrix, small_model(), DType::kF16, 1);
  matrix.policies.back().keep_first = 0;
  EXPECT_THAT(error_of([&] { check_matrix(matrix, small_model(), DType::kF16, 1); }),
              AllOf(HasSubstr("policies: expected_attention and expected_attention {first: 0}: "),
                    HasSubstr("set the same keep.first")));
}

TEST(CheckPositions, WhatAStreamHoldsMustFitTheContext) {
  EvalMatrix matrix = one_cell(preset("guided", "1400"));
  matrix.policies.push_back(preset("guided", "1510"));
  matrix.policies.push_back(preset("full"));
  const std::vector<EvalShape> shapes = {
      {.document = 90000, .questions = {{40, 11}}, .probes = {30}}};
  const std::string error =
      error_of([&] { check_positions(matrix, shapes, small_model(), DType::kF16); });
  EXPECT_THAT(error, AllOf(HasSubstr("budgets: policy guided 1510 would hold 2052 rows, more than "
                                     "the context of small, 2048; lower its budget"),
                           Not(HasSubstr("1400")), Not(HasSubstr("full"))));
}

}  // namespace
}  // namespace varve
