// The laws of cache policies in the whole pipeline, on a small model: what a policy keeps, and what
// is answered, does not depend on chunk size, stage cut, neighbours or threads; a budget that holds
// everything is the full cache bit for bit; memory is never above what was planned.
#include <gtest/gtest.h>

#include "common/policy/presets.h"
#include "tests/support/sanitized.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/worker/pipeline/pipeline_run.h"

namespace varve {
namespace {

struct PolicyCase {
  std::string name;
  PolicyConfig policy;
};

PolicyConfig preset(std::string_view name, Budget budget) {
  PolicyConfig policy = find_preset(name)->policy;
  policy.budget = budget;
  return policy;
}

constexpr Budget kPart{Budget::Kind::kTokens, 48};
constexpr Budget kAll{Budget::Kind::kTokens, 100000};

// Periods and windows that fit a document of 150 rows.
PolicyConfig small(PolicyConfig policy) {
  if (policy.compaction.name == "per_chunk") policy.compaction.set("rows", 40);
  if (policy.scorer.name == "window") {
    policy.scorer.set("window", std::min(policy.scorer.get("window"), 16.0));
  }
  if (policy.scorer.name == "expected_attention") policy.scorer.set("future", 24);
  for (const char* decode : {"slide", "adaptive", "discontinuous"}) {
    if (policy.decode.name != decode) continue;
    policy.decode.set("heavy", 1);
    policy.decode.set("recent", 2);
  }
  if (policy.storage.name != "float") policy.storage.set("tail", 16);
  return policy;
}

std::vector<PolicyCase> cases(Budget budget) {
  std::vector<PolicyCase> all;
  for (const Preset& row : presets()) {
    if (is_full(row.policy) || row.policy.scorer.name == "guided") continue;
    all.push_back({row.policy.preset, small(preset(row.policy.preset, budget))});
  }
  PolicyConfig asked = small(preset("snapkv", budget));
  asked.compaction = make_component("after_question");
  all.push_back({"snapkv_after_question", asked});
  asked.positions = Positions::kCompact;
  all.push_back({"snapkv_after_question_compact", asked});
  PolicyConfig moved = small(preset("keydiff", budget));
  moved.positions = Positions::kCompact;
  all.push_back({"keydiff_compact", moved});
  PolicyConfig streamed = small(preset("h2o", budget));
  streamed.compaction = make_component("per_chunk", {{"rows", 40}});
  all.push_back({"h2o_streamed", streamed});
  PolicyConfig few_bits = small(preset("snapkv", budget));
  few_bits.storage = make_component("int4", {{"tail", 16}});
  all.push_back({"snapkv_int4", few_bits});
  PolicyConfig pooled = small(preset("scope_slide", budget));
  pooled.positions = Positions::kCompact;
  all.push_back({"scope_compact", pooled});
  for (const double scope : {0.0, 2.0}) {
    PolicyConfig guided = small(preset("guided", budget));
    guided.keep_last = {Budget::Kind::kTokens, 8};
    guided.scorer.set("scope", scope);
    guided.scorer.set("kernel", 5);
    const std::string name = scope == 0 ? "guided_head" : "guided_global";
    all.push_back({name, guided});
    guided.positions = Positions::kOriginal;
    guided.scorer.set("lag", 2);
    guided.scorer.set("tokens", 1);
    all.push_back({name + "_original_lag2_sum", guided});
  }
  return all;
}

class Policies : public testing::TestWithParam<PolicyCase> {
 protected:
  void SetUp() override {
    write_tiny_model(folder_.path() / "tiny.gguf", GetParam().policy.storage.name != "float");
    base_.model = (folder_.path() / "tiny.gguf").string();
    base_.questions = {0, 1, 2, 5};
    base_.answer_tokens = 9;
    base_.policy = GetParam().policy;
    if (base_.policy.scorer.name == "guided") base_.probes = {5, 1, 3};
  }

  TempFolder folder_;
  PipelineCase base_;
};

void expect_same_receipts(const Outcome& actual, const Outcome& whole) {
  ASSERT_FALSE(whole.receipts.empty());
  ASSERT_EQ(actual.receipts.size(), whole.receipts.size());
  for (const auto& [key, receipt] : actual.receipts) {
    const LayerReceipt& expected = whole.receipts.at(key);
    EXPECT_EQ(receipt.rows_seen, expected.rows_seen) << "layer " << key.first;
    EXPECT_EQ(receipt.rows_kept, expected.rows_kept) << "layer " << key.first;
    EXPECT_EQ(receipt.kept_hash, expected.kept_hash) << "layer " << key.first;
    EXPECT_EQ(receipt.bytes_after, expected.bytes_after) << "layer " << key.first;
  }
}

TEST_P(Policies, ChunksCutsAndLimitsChangeNothing) {
  const Outcome whole = run_on_threads(base_, 1);
  for (const auto& [ranks, chunk, in_flight] :
       {std::tuple{1, 1U, 1U}, {2, 7U, 2U}, {3, 64U, 3U}, {5, 512U, 1U}}) {
    PipelineCase c = base_;
    c.chunk = chunk;
    c.in_flight = in_flight;
    SCOPED_TRACE(testing::Message() << ranks << " ranks, chunk " << chunk);
    const Outcome cut = run_on_threads(c, ranks);
    expect_same(cut, whole, true, true);
    expect_same_receipts(cut, whole);
  }
}

TEST_P(Policies, AQuestionAloneIsAnsweredAsAmongOthers) {
  const Outcome whole = run_on_threads(base_, 2);
  for (const std::size_t q : base_.questions) {
    PipelineCase c = base_;
    c.questions = {q};
    c.threads = 2;
    SCOPED_TRACE(q);
    expect_same(run_on_threads(c, 1), whole, true, true);
  }
}

TEST_P(Policies, RowsReallyGo) {
  const Outcome outcome = run_on_threads(base_, 2);
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  for (const auto& [key, receipt] : outcome.receipts) {
    before += receipt.bytes_before;
    after += receipt.bytes_after;
  }
  EXPECT_LT(after, before);
}

void PrintTo(const PolicyCase& c, std::ostream* out) {
  *out << c.name;
}

std::string name_of(const testing::TestParamInfo<PolicyCase>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Presets, Policies, testing::ValuesIn(cases(kPart)), name_of);

class WholeBudget : public Policies {};

TEST_P(WholeBudget, EqualsTheFullCacheBitForBit) {
  if (GetParam().policy.storage.name != "float") GTEST_SKIP() << "fewer bits are not the same bits";
  PipelineCase full = base_;
  full.policy = {};
  full.probes = {};
  PipelineCase c = base_;
  if (c.policy.decode.name != "keep" && c.policy.decode.name != "one_pool") {
    c.policy.decode.set("recent", 1000);
  }
  expect_same(run_on_threads(c, 2), run_on_threads(full, 1), true, true);
}

INSTANTIATE_TEST_SUITE_P(Presets, WholeBudget, testing::ValuesIn(cases(kAll)), name_of);

}  // namespace
}  // namespace varve
