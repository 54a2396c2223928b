// The laws of cache policies in the whole pipeline, on a small model: what a policy keeps, and what
// is answered, does not depend on chunk size, stage cut, neighbours or threads; a budget that holds
// everything is the full cache bit for bit; memory is never above what was planned.
#include <gtest/gtest.h>

#include "common/policy/contradictions.h"
#include "tests/support/temp_folder.h"
#include "tests/worker/pipeline/policy_cases.h"

namespace varve {
namespace {

constexpr Budget kPart{Budget::Kind::kTokens, 48};
constexpr Budget kAll{Budget::Kind::kTokens, 100000};

class Policies : public testing::TestWithParam<PolicyCase> {
 protected:
  void SetUp() override { base_ = small_job(GetParam().policy, folder_.path()); }

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

TEST_P(Policies, ContradictNothing) {
  for (const Contradiction& c : contradictions(base_.policy)) ADD_FAILURE() << c.path << c.text;
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
  if (GetParam().name.ends_with("contrast")) GTEST_SKIP() << "others are looked at";
  const Outcome whole = run_on_threads(base_, 2);
  for (const std::size_t q : base_.questions) {
    PipelineCase c = base_;
    c.questions = {q};
    c.threads = 2;
    SCOPED_TRACE(q);
    expect_same(run_on_threads(c, 1), whole, true, true);
  }
}

TEST_P(Policies, GoesOnFromWhatWasSaved) {
  if (base_.policy.compaction.name != "per_chunk") GTEST_SKIP() << "holds all rows till the end";
  PipelineCase c = base_;
  c.save_every = 40;
  const Outcome whole = run_on_threads(base_, 3);
  const Outcome saving = run_on_threads(c, 3);
  expect_same(saving, whole, true, true);
  expect_same_receipts(saving, whole);
  ASSERT_EQ(saving.saves.size(), 3U);
  for (const auto& [rows, parts] : saving.saves) {
    SCOPED_TRACE(rows);
    c.saved_rows = static_cast<std::uint32_t>(rows);
    c.saved = parts;
    const Outcome rest = run_on_threads(c, 3);
    expect_same(rest, whole, true, true);
    expect_same_receipts(rest, whole);
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

std::string name_of(const testing::TestParamInfo<PolicyCase>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Presets, Policies, testing::ValuesIn(policy_cases(kPart)), name_of);

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

INSTANTIATE_TEST_SUITE_P(Presets, WholeBudget, testing::ValuesIn(policy_cases(kAll)), name_of);

}  // namespace
}  // namespace varve
