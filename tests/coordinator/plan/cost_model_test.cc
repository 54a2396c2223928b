// What a cache policy spares of the work, by counting row after row, and the cuts that follow.
#include "coordinator/plan/cost_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "common/policy/presets.h"
#include "tests/coordinator/plan/models.h"

namespace varve {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

PolicyConfig named(std::string_view preset, std::size_t budget) {
  PolicyConfig policy = find_preset(preset)->policy;
  if (drops_document_rows(policy)) {
    policy.budget = {Budget::Kind::kTokens, static_cast<double>(budget)};
  }
  return policy;
}

JobShape shape(const PolicyConfig& policy, std::size_t prefix, std::size_t chunk = 16) {
  return {.prefix_rows = prefix,
          .questions = {{5, 20}, {9, 20}},
          .parallel = 2,
          .chunk = chunk,
          .policy = policy};
}

JobWork work_of(const JobShape& job, std::size_t layers = 4) {
  return job_work(test::small_model(layers), job, {5, 9}, {21, 21}, 1);
}

// (query, key) pairs of a document that is read row after row.
struct Counted {
  double pairs = 0;
  double probe_pairs = 0;
  std::size_t probe_rows = 0;
};

Counted count(const JobShape& job, std::size_t late, bool local) {
  const std::size_t period = job.policy.compaction.count("rows");
  const auto budget = static_cast<std::size_t>(job.policy.budget.value);
  const Protected sides = protected_rows(job.policy, budget);
  Counted counted;
  std::size_t held = 0;
  std::size_t settled = 0;
  std::deque<std::size_t> known;  // rows that were held at the compactions whose selection is due
  for (std::size_t row = 1; row <= job.prefix_rows; ++row) {
    ++held;
    const std::size_t far = sides.first + sides.last;
    counted.pairs += static_cast<double>(local && settled > far ? held - settled + far : held);
    if (row % period != 0 && row != job.prefix_rows) continue;
    for (const std::uint32_t probe : job.probes) {
      counted.probe_rows += probe;
      for (std::size_t i = 1; i <= probe; ++i) {
        counted.probe_pairs += static_cast<double>(held + i);
      }
    }
    known.push_back(held);
    if (known.size() > late) {
      const std::size_t dropped = known.front() - std::min(known.front(), budget);
      known.pop_front();
      for (std::size_t& rows : known) rows -= dropped;
      held -= dropped;
    }
    settled = held;
  }
  return counted;
}

class Streams : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {};

TEST_P(Streams, AttendToWhatIsHeld) {
  const auto [prefix, period] = GetParam();
  for (const auto& [scope, lag, local] :
       {std::tuple{0, 1, 0}, {2, 0, 0}, {2, 1, 0}, {2, 3, 0}, {0, 1, 1}}) {
    PolicyConfig policy = named("guided", 50);
    policy.compaction.set("rows", static_cast<double>(period));
    policy.keep_last = {Budget::Kind::kTokens, 8};
    policy.scorer.set("scope", scope);
    policy.scorer.set("lag", lag);
    policy.scorer.set("encode", local);
    JobShape job = shape(policy, prefix);
    job.probes = {3, 6};
    const std::size_t late = scope == 2 ? static_cast<std::size_t>(lag) : 0;
    const Counted counted = count(job, late, local == 1 && prefix > 50);
    const JobWork work = work_of(job);
    // Questions of 5 and 9 rows behind what is kept.
    const auto kept = static_cast<double>(std::min<std::size_t>(prefix, 50));
    const double asked = 5 * kept + 15 + 9 * kept + 45;
    SCOPED_TRACE(testing::Message() << "scope " << scope << ", lag " << lag << ", local " << local);
    EXPECT_EQ(work.layers[0].prefill_pairs, counted.pairs + 1.5 * counted.probe_pairs + asked);
    EXPECT_EQ(work.prefill_rows, static_cast<double>(prefix + counted.probe_rows + 14));
  }
}

INSTANTIATE_TEST_SUITE_P(Lengths, Streams,
                         testing::Combine(testing::Values(1, 15, 16, 200, 1003),
                                          testing::Values(1, 16, 24)));

TEST(CostModel, AStreamsWorkGrowsWithTheDocumentAndNotWithItsSquare) {
  const auto pairs = [](const PolicyConfig& policy, std::size_t prefix) {
    return work_of(shape(policy, prefix)).layers[0].prefill_pairs;
  };
  const PolicyConfig stream = named("streaming_llm", 512);
  EXPECT_NEAR(pairs(stream, 2'000'000) / pairs(stream, 1'000'000), 2, 0.01);
  EXPECT_NEAR(pairs({}, 2'000'000) / pairs({}, 1'000'000), 4, 0.01);
  EXPECT_LT(pairs(stream, 1'000'000), 1'000'000.0 * (512 + 512) + 14 * 1024);
}

TEST(CostModel, DecodingReadsWhatIsKept) {
  const JobWork full = work_of(shape({}, 1000));
  const JobWork part = work_of(shape(named("snapkv", 200), 1000));
  EXPECT_EQ(part.layers[0].decode_pairs, full.layers[0].decode_pairs - 40 * 800);
  // Each head then has positions of its own.
  EXPECT_NEAR(part.layers[0].decode_kv_bytes / full.layers[0].decode_kv_bytes, 0.2, 0.02);
  EXPECT_LT(part.layers[0].prefill_pairs, full.layers[0].prefill_pairs);

  PolicyConfig asked = named("snapkv", 200);
  asked.compaction = make_component("after_question");
  const JobWork each = work_of(shape(asked, 1000));
  EXPECT_EQ(each.layers[0].prefill_pairs, full.layers[0].prefill_pairs);
  EXPECT_EQ(each.layers[0].decode_pairs, part.layers[0].decode_pairs);
  EXPECT_EQ(each.layers[0].decode_kv_bytes, 2 * part.layers[0].decode_kv_bytes)
      << "two questions that no longer share one reading";

  PolicyConfig local = named("guided", 200);
  local.scorer.set("encode", 1);
  EXPECT_EQ(work_of(shape(local, 1000)).layers[0].decode_kv_bytes, each.layers[0].decode_kv_bytes);
}

TEST(CostModel, RowsInFewBitsAreFewBytes) {
  ModelConfig model = test::small_model(2);
  model.head_dim = 32;
  const auto bytes = [&](const PolicyConfig& policy) {
    return job_work(model, shape(policy, 4096), {5}, {21}, 1).layers[0].decode_kv_bytes;
  };
  const double share = bytes(named("kivi4", 0)) / bytes({});
  EXPECT_GT(share, 0.25);
  EXPECT_LT(share, 0.45);
}

TEST(CostModel, AnswersSeeWhatTheirScheduleKeeps) {
  PolicyConfig policy = named("scope_slide", 200);
  policy.decode.set("heavy", 3);
  policy.decode.set("recent", 2);
  // At most 5 rows and the new one, behind 200 of the document and those of the question.
  const auto pairs = [](double before) { return 20 * before + 1 + 2 + 3 + 4 + 5 + 15 * 6; };
  EXPECT_EQ(work_of(shape(policy, 1000)).layers[0].decode_pairs, pairs(205) + pairs(209));

  const PolicyConfig pool = named("tova", 200);
  EXPECT_EQ(work_of(shape(pool, 1000)).layers[0].decode_pairs, 2 * 20 * 201);
}

TEST(CostModel, SumsOfWeightsTakeTheirProductsOnceMore) {
  const JobWork summed = work_of(shape(named("h2o", 1000), 1000));
  const JobWork plain = work_of(shape(named("snapkv", 1000), 1000));
  EXPECT_EQ(summed.layers[0].prefill_pairs, 1.5 * plain.layers[0].prefill_pairs);
}

TEST(CostModel, CompactionsCutTheChunksOfAStream) {
  PolicyConfig policy = named("streaming_llm", 50);
  policy.compaction.set("rows", 24);
  EXPECT_EQ(prefix_steps(shape(policy, 100)), 4 * 2 + 1U);
  EXPECT_EQ(prefix_steps(shape({}, 100)), 7U);
  EXPECT_EQ(prefix_steps(shape({}, 0)), 0U);
}

// Cuts that the planner finds.
std::vector<std::size_t> layers_per_rank(const PolicyConfig& policy, std::size_t prefix,
                                         std::size_t answer, std::size_t ranks) {
  ModelConfig model = test::small_model(16);
  model.context = 1 << 20;
  model.vocab = 2;  // no head to speak of
  JobDemand demand;
  demand.prefix_tokens = demand.document_tokens = prefix;
  demand.questions.push_back({"q", 8, answer});
  demand.policy = policy;
  std::vector<std::size_t> counts;
  for (const RankPlan& r :
       make_plan(model, test::f16_weights(model), demand, {.ranks = ranks}).ranks) {
    counts.push_back(r.layers.count());
  }
  return counts;
}

TEST(CostModel, LowerLayersOfAPyramidMakeShorterStagesWhereAnswersAreLong) {
  const PolicyConfig pyramid = named("pyramidkv", 20000);
  const auto long_answer = layers_per_rank(pyramid, 80000, 200000, 2);
  EXPECT_LT(long_answer[0] + 2, long_answer[1]);
  EXPECT_THAT(layers_per_rank(named("snapkv", 20000), 80000, 200000, 2), ElementsAre(8, 8));
  // The whole document is attended to in every layer while it is read.
  EXPECT_THAT(layers_per_rank(pyramid, 80000, 2, 2), ElementsAre(8, 8));
}

TEST(CostModel, LayersOfAStreamWeighTheSame) {
  EXPECT_THAT(layers_per_rank(named("streaming_llm", 1000), 500000, 2, 4), Each(4U));
  PolicyConfig pyramid = named("streaming_llm", 8000);
  pyramid.positions = Positions::kOriginal;
  pyramid.allocation = make_component("pyramid");
  const auto cut = layers_per_rank(pyramid, 500000, 2, 2);
  EXPECT_LT(cut[0], cut[1]) << "a stream attends to its budget while it is read";
}

}  // namespace
}  // namespace varve
