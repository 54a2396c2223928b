#include "common/policy/contradictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/policy/presets.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> lines(const std::vector<Contradiction>& list) {
  std::vector<std::string> out;
  for (const Contradiction& c : list) out.push_back(c.path + ": " + c.text);
  return out;
}

PolicyConfig preset(std::string_view name, std::string_view budget = "") {
  PolicyConfig policy = find_preset(name)->policy;
  if (!budget.empty()) policy.budget = parse_budget(budget);
  return policy;
}

std::vector<std::string> of(const PolicyConfig& policy) {
  return lines(contradictions(policy));
}

PolicyConfig with(PolicyConfig policy, Slot slot, const Component& component) {
  policy.slot(slot) = component;
  return policy;
}

TEST(Contradictions, PresetsHaveNone) {
  for (const Preset& p : presets()) {
    PolicyConfig policy = p.policy;
    if (drops_document_rows(policy)) policy.budget = parse_budget("580");
    EXPECT_THAT(of(policy), IsEmpty()) << policy.preset;
  }
}

TEST(Contradictions, BudgetIsRequiredWhereRowsGo) {
  EXPECT_THAT(of(preset("snapkv")),
              ElementsAre("budget: is required: policy snapkv keeps a part of the document; tokens "
                          "(512), a share of it (20%) or a size (64MiB)"));
}

TEST(Contradictions, BudgetAndKeepMeanNothingWhereNoRowGoes) {
  PolicyConfig policy = preset("full", "20%");
  policy.keep_first = 4;
  EXPECT_THAT(of(policy),
              ElementsAre("budget: 20% means nothing where every row is kept (scorer none)",
                          "policy.keep: means nothing where every row is kept (scorer none)"));
}

TEST(Contradictions, BudgetMustExceedWhatIsKeptInAnyCase) {
  EXPECT_THAT(of(preset("snapkv", "32")),
              ElementsAre("budget: 32 rows must be more than those that are kept in any case, 0 at "
                          "the start and 32 at the end"));
  EXPECT_THAT(of(preset("snapkv", "33")), IsEmpty());
  PolicyConfig policy = preset("h2o", "10");
  policy.keep_first = 5;
  EXPECT_THAT(of(policy),
              ElementsAre("budget: 10 rows must be more than those that are kept in any case, 5 at "
                          "the start and 5 at the end"));
  PolicyConfig asked = preset("snapkv", "8");
  asked.compaction = make_component("after_question");
  EXPECT_THAT(of(asked), IsEmpty());  // the window is the question's
}

TEST(Contradictions, KeepLastIsNoSize) {
  PolicyConfig policy = preset("knorm", "99");
  policy.keep_last = parse_budget("1KiB");
  EXPECT_THAT(of(policy), ElementsAre("policy.keep.last: must be tokens (64) or a share of the "
                                      "budget (50%), is 1 KiB"));
}

TEST(Contradictions, ScorerWantsACompactionAndTheOtherWayRound) {
  EXPECT_THAT(of(with(preset("snapkv", "99"), Slot::kCompaction, make_component("never"))),
              ElementsAre("policy.compaction: scorer window is never asked; set after_document, "
                          "after_question or per_chunk"));
  PolicyConfig none = preset("full");
  none.compaction = make_component("per_chunk");
  EXPECT_THAT(of(none), ElementsAre("policy.compaction: per_chunk drops rows, and scorer none "
                                    "cannot say which; set a scorer"));
  none.compaction = make_component("after_document");
  EXPECT_THAT(of(none),
              ElementsAre("policy.compaction: after_document has nothing to do: scorer none keeps "
                          "every row and storage float leaves it as it is"));
  none.storage = make_component("int8");
  EXPECT_THAT(of(none), IsEmpty());
}

TEST(Contradictions, KernelsAreOdd) {
  PolicyConfig policy = preset("snapkv", "99");
  policy.scorer.set("kernel", 4);
  EXPECT_THAT(of(policy), ElementsAre("policy.scorer.window: kernel must be odd, to have a middle; "
                                      "is 4"));
  policy = preset("guided", "580");
  policy.scorer.set("kernel", 16);
  EXPECT_THAT(of(policy), ElementsAre("policy.scorer.guided: kernel must be odd, to have a middle; "
                                      "is 16"));
}

TEST(Contradictions, GuidedLooksWhileTheDocumentIsRead) {
  PolicyConfig policy = preset("guided", "580");
  policy.compaction = make_component("after_document");
  EXPECT_THAT(of(policy), ElementsAre("policy.compaction: scorer guided looks while the document "
                                      "is read: it wants per_chunk, not after_document"));
}

TEST(Contradictions, LayersVoteWhereTheyShareAChoice) {
  PolicyConfig policy = preset("guided", "580");
  policy.scorer.set("votes", 1);
  EXPECT_THAT(of(policy), ElementsAre("policy.scorer.guided: votes middle says which layers choose "
                                      "for the others, but in scope head each chooses for itself; "
                                      "take scope stage or global"));
  policy.scorer.set("scope", 1);
  EXPECT_THAT(of(policy), IsEmpty());
}

TEST(Contradictions, LocalReadingChoosesForEachQuestion) {
  PolicyConfig policy = preset("guided", "580");
  policy.scorer.set("encode", 1);
  EXPECT_THAT(of(policy), IsEmpty());
  policy.scorer.set("scope", 1);
  EXPECT_THAT(of(policy), IsEmpty());
  policy.scorer.set("contrast", 0.5);
  EXPECT_THAT(of(policy), IsEmpty());
  policy.scorer.set("encode", 0);
  EXPECT_THAT(of(policy), ElementsAre("policy.scorer.guided: contrast tells the rows of one "
                                      "question from those of the others, which only encode local "
                                      "keeps apart"));
  policy.scorer.set("contrast", 0);
  policy.scorer.set("encode", 1);
  policy.scorer.set("scope", 2);
  EXPECT_THAT(of(policy), ElementsAre("policy.scorer.guided: encode local chooses for each "
                                      "question, which scope global does for all of them; take "
                                      "scope stage or head"));
  policy.scorer.set("scope", 0);
  policy.positions = Positions::kOriginal;
  policy.allocation = make_component("pyramid");
  EXPECT_THAT(of(policy), ElementsAre("policy.allocation: scorer guided with encode local wants "
                                      "uniform, not pyramid"));
}

TEST(Contradictions, AllocationsThatNeedMoreThanThereIs) {
  EXPECT_THAT(of(with(preset("full"), Slot::kAllocation, make_component("pyramid"))),
              ElementsAre("policy.allocation: pyramid shares out a budget, and scorer none has "
                          "none"));
  PolicyConfig streamed = preset("zigzagkv", "99");
  streamed.compaction = make_component("per_chunk");
  EXPECT_THAT(
      of(streamed),
      ElementsAre("policy.allocation: uncertainty looks at the whole document, and per_chunk "
                  "compacts before it is read; take uniform or pyramid"));
  EXPECT_THAT(
      of(with(preset("knorm", "99"), Slot::kAllocation, make_component("uncertainty"))),
      ElementsAre("policy.allocation: uncertainty measures the attention of scorer window's "
                  "queries, and the scorer is key_norm"));
  PolicyConfig shared = preset("guided", "580");
  shared.positions = Positions::kOriginal;
  shared.allocation = make_component("pyramid");
  EXPECT_THAT(of(shared), IsEmpty());
  shared.scorer.set("scope", 1);
  EXPECT_THAT(
      of(shared),
      ElementsAre("policy.allocation: scorer guided with scope stage keeps the same rows in "
                  "every layer: it wants uniform, not pyramid"));
}

TEST(Contradictions, CompactPositionsWantEqualCountsBeforeTheQuestion) {
  PolicyConfig policy = preset("adakv", "99");
  policy.positions = Positions::kCompact;
  EXPECT_THAT(of(policy), ElementsAre("policy.positions: compact positions want as many rows in "
                                      "every layer and head: allocation uniform, not per_head"));
  policy = preset("snapkv", "99");
  policy.positions = Positions::kCompact;
  policy.compaction = make_component("after_question");
  EXPECT_THAT(of(policy), ElementsAre("policy.positions: compact positions come too late for a "
                                      "question that is read already (after_question); take "
                                      "after_document or per_chunk"));
  policy = preset("kivi4");
  policy.positions = Positions::kCompact;
  EXPECT_THAT(of(policy), ElementsAre("policy.positions: compact means nothing where no row of the "
                                      "document goes"));
}

TEST(Contradictions, OnePoolSaysAllThatItCannotHave) {
  PolicyConfig policy = preset("adakv", "99");
  policy.decode = make_component("one_pool");
  policy.storage = make_component("int4");
  policy.compaction = make_component("after_question");
  EXPECT_THAT(
      of(policy),
      ElementsAre("policy.decode: one_pool evicts row after row, which storage int4 cannot; "
                  "take float",
                  "policy.decode: one_pool wants a number of rows that is known before: "
                  "allocation uniform or pyramid, not per_head",
                  "policy.decode: one_pool compacts when a question is read as it is; take "
                  "after_document or per_chunk"));
  EXPECT_THAT(of(with(preset("guided", "580"), Slot::kDecode, make_component("one_pool"))),
              ElementsAre("policy.decode: one_pool wants a scorer that can judge an answer's rows, "
                          "not guided"));
  EXPECT_THAT(of(with(preset("full"), Slot::kDecode, make_component("one_pool"))),
              ElementsAre("policy.decode: one_pool wants a scorer that can judge an answer's rows, "
                          "not none"));
}

TEST(Contradictions, FewBitsWantACompaction) {
  EXPECT_THAT(
      of(with(preset("full"), Slot::kStorage, make_component("int2"))),
      ElementsAre("policy.storage: int2 is for rows that a compaction has frozen, and there "
                  "is none; set compaction: after_document"));
}

TEST(Contradictions, SchedulesOfTheAnswerNeedNothingElse) {
  EXPECT_THAT(of(with(preset("full"), Slot::kDecode, make_component("discontinuous"))), IsEmpty());
}

ModelConfig small_model() {
  ModelConfig model;
  model.name = "small";
  model.layers = 3;
  model.kv_heads = 2;
  model.q_heads = 4;
  model.head_dim = 48;
  return model;
}

TEST(Contradictions, WithAModel) {
  ModelConfig model = small_model();
  const auto with_model = [&](const PolicyConfig& policy, std::size_t ranks = 1) {
    return lines(contradictions_with(policy, model, DType::kF16, ranks));
  };
  EXPECT_THAT(with_model(preset("snapkv", "1KiB")),
              ElementsAre("budget: 1 KiB are less than one row takes in all 3 layers, 1.15 KiB"));
  EXPECT_THAT(with_model(preset("snapkv", "2KiB")), IsEmpty());
  EXPECT_THAT(
      with_model(preset("kivi4")),
      ElementsAre("policy.storage: int4 groups 32 channels, and the heads of small have 48; "
                  "take float"));
  model.sliding_window = 4096;
  EXPECT_THAT(with_model(preset("streaming_llm", "99")),
              ElementsAre("policy.positions: compact positions would move rows into the sliding "
                          "window of 4096 tokens that small attends in; take original"));
  EXPECT_THAT(with_model(preset("snapkv", "99")), IsEmpty());
  model.sliding_window.reset();
  PolicyConfig policy = preset("guided", "580");
  policy.scorer.set("scope", 2);
  EXPECT_THAT(with_model(policy, 2), IsEmpty());
  policy.scorer.set("lag", 0);
  EXPECT_THAT(with_model(policy, 1), IsEmpty());
  EXPECT_THAT(
      with_model(policy, 2),
      ElementsAre("policy.scorer.guided: scope global with lag 0 would have 2 ranks wait for "
                  "each other at every compaction; set lag: 1"));
}

TEST(Contradictions, WithADocument) {
  const auto with_rows = [](const PolicyConfig& policy, std::size_t rows) {
    return lines(contradictions_with_document(policy, small_model(), DType::kF16, rows));
  };
  EXPECT_THAT(
      with_rows(preset("snapkv", "20%"), 160),
      ElementsAre("budget: 20% of a document of 160 tokens, 32 rows, must be more than those "
                  "that are kept in any case, 0 at the start and 32 at the end"));
  EXPECT_THAT(with_rows(preset("snapkv", "20%"), 165), IsEmpty());
  EXPECT_THAT(with_rows(preset("snapkv", "100%"), 20), IsEmpty());
  EXPECT_THAT(with_rows(preset("snapkv", "99"), 20), IsEmpty());
  EXPECT_THAT(with_rows(preset("full"), 20), IsEmpty());
}

}  // namespace
}  // namespace varve
