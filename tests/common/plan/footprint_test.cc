#include "common/plan/footprint.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

ModelConfig small_model() {
  ModelConfig model;
  model.layers = 3;
  model.hidden = 6;
  model.intermediate = 10;
  model.q_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 8;
  model.vocab = 11;
  model.rope_dims = 8;
  return model;
}

const WeightBytes kWeights{{100, 200, 400}, 1000, 3000, 7};

TEST(SegmentBytes, AreKeysValuesAndPositions) {
  EXPECT_EQ(segment_bytes(small_model(), 5, DType::kF32), 2U * 2 * 5 * 8 * 4 + 5 * 4);
  EXPECT_EQ(segment_bytes(small_model(), 5, DType::kF16), 2U * 2 * 5 * 8 * 2 + 5 * 4);
  EXPECT_EQ(segment_bytes(small_model(), 0, DType::kF16), 0U);
}

TEST(Footprint, WeightsGoWhereTheyAreNeeded) {
  const ModelConfig model = small_model();
  EXPECT_EQ(footprint(model, kWeights, {0, 1}, {}).weights, 1100U);
  EXPECT_EQ(footprint(model, kWeights, {1, 2}, {}).weights, 200U);
  EXPECT_EQ(footprint(model, kWeights, {2, 3}, {}).weights, 400U + 3000 + 7);
  EXPECT_EQ(footprint(model, kWeights, {0, 3}, {}).weights, 700U + 1000 + 3000 + 7);
}

TEST(Footprint, TiedHeadIsOnBothEndsButOnceWhereTheyAreOne) {
  ModelConfig model = small_model();
  model.tied_embeddings = true;
  const WeightBytes tied{{100, 200, 400}, 1000, 0, 7};
  EXPECT_EQ(footprint(model, tied, {0, 2}, {}).weights, 1300U);
  EXPECT_EQ(footprint(model, tied, {2, 3}, {}).weights, 400U + 1000 + 7);
  EXPECT_EQ(footprint(model, tied, {0, 3}, {}).weights, 700U + 1000 + 7);
}

TEST(Footprint, CacheHoldsThePrefixAndTheLargestQuestionsOfThoseAtATime) {
  const ModelConfig model = small_model();
  const JobShape job{.prefix_rows = 50,
                     .questions = {{1, 2}, {8, 1}, {1, 0}, {3, 4}},
                     .parallel = 2,
                     .chunk = 4,
                     .in_flight = 1,
                     .kv_dtype = DType::kF32};
  const std::size_t rows = 50 + 9 + 7;
  EXPECT_EQ(footprint(model, kWeights, {0, 2}, job).kv,
            2 * segment_bytes(model, rows, DType::kF32));
}

TEST(Footprint, LastStageHasLogitsAndSendsNothing) {
  const ModelConfig model = small_model();
  const JobShape job{.prefix_rows = 1,
                     .questions = {{2, 1}, {3, 6}, {1, 0}},
                     .parallel = 3,
                     .chunk = 2,
                     .in_flight = 3,
                     .kv_dtype = DType::kF16};
  const Footprint first = footprint(model, kWeights, {0, 1}, job);
  const Footprint last = footprint(model, kWeights, {1, 3}, job);
  EXPECT_EQ(first.channel, 3 * boundary_bytes(model, 2));
  EXPECT_EQ(last.channel, 0U);
  // A step of two rows yields two tokens at most, whatever the number of questions.
  EXPECT_EQ(last.workspace, first.workspace + 2 * model.vocab * sizeof(float));
}

}  // namespace
}  // namespace varve
