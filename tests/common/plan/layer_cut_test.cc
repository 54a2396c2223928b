#include "common/plan/layer_cut.h"

#include <gtest/gtest.h>

#include <vector>

namespace varve {
namespace {

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
