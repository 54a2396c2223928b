#include "coordinator/bench/bench_work.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace varve {
namespace {

using Kind = BenchCase::Kind;

// 2 layers of 10 * (8 + 2 * 4) + 8 * 10 + 3 * 10 * 6 = 420 elements, a head of 7 * 10.
ModelConfig model() {
  ModelConfig m;
  m.layers = 2;
  m.hidden = 10;
  m.intermediate = 6;
  m.q_heads = 4;
  m.kv_heads = 2;
  m.head_dim = 2;
  m.vocab = 7;
  m.tied_embeddings = true;
  return m;
}

WeightBytes weights() {
  return {.layer = {100, 200}, .embedding = 1000, .head = 0, .final_norm = 3};
}

BenchWork work(const BenchCase& c, std::size_t groups = 1, const ModelConfig& m = model()) {
  return work_of(c, m, weights(), DType::kF16, groups);
}

TEST(Parameters, CountsEachMatrixOnce) {
  EXPECT_EQ(parameters(model()).total(), 2 * 420U + 70U);
  ModelConfig untied = model();
  untied.tied_embeddings = false;
  EXPECT_EQ(parameters(untied).total(), 2 * 420U + 2 * 70U);
}

TEST(BenchWork, APromptSamplesItsLastTokenAlone) {
  // 3 tokens see 6, 7 and 8 keys.
  EXPECT_EQ(work({Kind::kPrompt, 3, 5, 1}).flops, 2 * 3 * 840 + 2 * 70 + 2 * 4 * 8 * (6 + 7 + 8));
  EXPECT_EQ(work({Kind::kPrompt, 3, 5, 1}).read_bytes, 0);
}

TEST(BenchWork, GeneratingSamplesEveryToken) {
  const double one = 2 * 3 * 840 + 2 * 3 * 70 + 2 * 4 * 8 * (6 + 7 + 8);
  EXPECT_EQ(work({Kind::kGenerate, 3, 5, 1}).flops, one);
  EXPECT_EQ(work({Kind::kGenerate, 3, 5, 4}).flops, 4 * one);
}

TEST(BenchWork, AStepReadsTheWeightsAndTheSharedRowsOnce) {
  // A row of one layer: keys and values of 2 heads of 2 halves.
  const double row = 2 * 2 * 2 * 2;
  EXPECT_EQ(work({Kind::kGenerate, 3, 5, 1}).read_bytes, 3 * 1303 + 2 * row * (6 + 7 + 8));
  EXPECT_EQ(work({Kind::kGenerate, 3, 5, 4}).read_bytes,
            3 * 1303 + 2 * row * (3 * 5 + 4 * (1 + 2 + 3)));
  EXPECT_EQ(work({Kind::kGenerate, 3, 5, 4}, 2).read_bytes,
            2 * 3 * 1303 + 2 * row * (2 * 3 * 5 + 4 * (1 + 2 + 3)));
}

TEST(BenchWork, AnEmbeddingTableIsNotReadWhereItIsNoHead) {
  ModelConfig untied = model();
  untied.tied_embeddings = false;
  WeightBytes bytes = weights();
  bytes.head = 50;
  const BenchWork w = work_of({Kind::kGenerate, 1, 0, 1}, untied, bytes, DType::kF32, 1);
  EXPECT_EQ(w.read_bytes, 353 + 2 * 2 * 2 * 2 * 4);
}

TEST(BenchWork, AWindowBoundsWhatIsSeen) {
  ModelConfig windowed = model();
  windowed.sliding_window = 4;
  EXPECT_EQ(work({Kind::kPrompt, 3, 2, 1}, 1, windowed).flops,
            2 * 3 * 840 + 2 * 70 + 2 * 4 * 8 * (3 + 4 + 4));
}

TEST(SpreadOf, SampleDeviation) {
  EXPECT_EQ(spread_of({}).mean, 0);
  const std::vector<double> one{3};
  EXPECT_EQ(spread_of(one).mean, 3);
  EXPECT_EQ(spread_of(one).deviation, 0);
  const std::vector<double> three{1, 2, 6};
  EXPECT_EQ(spread_of(three).mean, 3);
  EXPECT_DOUBLE_EQ(spread_of(three).deviation, std::sqrt(7));
}

}  // namespace
}  // namespace varve
