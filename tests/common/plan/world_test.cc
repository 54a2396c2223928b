#include "common/plan/world.h"

#include <gtest/gtest.h>

#include "common/wire/archive.h"

namespace varve {
namespace {

TEST(World, FirstAndLastAreOneRankAlone) {
  const World world({{0, 3}});
  EXPECT_TRUE(world.first(0));
  EXPECT_TRUE(world.last(0));
  EXPECT_EQ(world.previous(0), std::nullopt);
  EXPECT_EQ(world.next(0), std::nullopt);
}

TEST(World, NeighboursAreTheRanksBesides) {
  const World world({{0, 2}, {2, 3}, {3, 7}});
  EXPECT_EQ(world.ranks(), 3U);
  EXPECT_EQ(world.layers(), 7U);
  EXPECT_EQ(world.previous(0), std::nullopt);
  EXPECT_EQ(world.next(0), 1U);
  EXPECT_EQ(world.previous(1), 0U);
  EXPECT_EQ(world.next(1), 2U);
  EXPECT_EQ(world.previous(2), 1U);
  EXPECT_EQ(world.next(2), std::nullopt);
  EXPECT_FALSE(world.first(1));
  EXPECT_FALSE(world.last(1));
}

TEST(World, EveryLayerHasTheRankWhoseRangeHoldsIt) {
  const World world({{0, 2}, {2, 3}, {3, 7}});
  for (std::size_t layer = 0; layer < world.layers(); ++layer) {
    const LayerRange stage = world.stage(world.rank_of_layer(layer));
    EXPECT_LE(stage.begin, layer);
    EXPECT_GT(stage.end, layer);
  }
}

TEST(World, StagePlanArrivesAsItWasSent) {
  const World world({{0, 2}, {2, 5}});
  const StagePlan sent = world.stage_plan(1, 512, 3);
  const auto got = from_bytes<StagePlan>(to_bytes(sent), "stage plan");
  EXPECT_EQ(got.rank, 1U);
  EXPECT_EQ(got.layers, (LayerRange{2, 5}));
  EXPECT_FALSE(got.first);
  EXPECT_TRUE(got.last);
  EXPECT_EQ(got.chunk, 512U);
  EXPECT_EQ(got.in_flight, 3U);
}

TEST(World, RefusesWhatIsNoCut) {
  EXPECT_ANY_THROW(World({{0, 2}, {3, 4}}));
  EXPECT_ANY_THROW(World({}));
}

TEST(CutProblem, AcceptsWhatCoversTheModelOnce) {
  EXPECT_EQ(cut_problem(std::vector<LayerRange>{{0, 1}, {1, 4}}, 4, 2), "");
}

TEST(CutProblem, NamesWhatIsWrong) {
  const auto problem = [](std::vector<LayerRange> cut) { return cut_problem(cut, 4, 2); };
  EXPECT_EQ(problem({{0, 4}}), "1 ranges for 2 ranks");
  EXPECT_EQ(problem({{1, 2}, {2, 4}}), "1:2 should begin at layer 0");
  EXPECT_EQ(problem({{0, 2}, {1, 4}}), "1:4 should begin at layer 2");
  EXPECT_EQ(problem({{0, 0}, {0, 4}}), "0:0 holds no layer");
  EXPECT_EQ(problem({{0, 2}, {2, 3}}), "it ends at layer 3, the model has 4");
  EXPECT_EQ(problem({{0, 2}, {2, 5}}), "it ends at layer 5, the model has 4");
}

TEST(CutText, IsWhatTheClusterFileTakes) {
  EXPECT_EQ(to_string(std::vector<LayerRange>{{0, 15}, {15, 30}}), "0:15, 15:30");
}

}  // namespace
}  // namespace varve
