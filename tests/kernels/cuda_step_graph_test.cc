// Work that is collected and started as one, on the fake runtime, which refuses what a capture does
// not allow.
#include "kernels/cuda/step_graph.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/kernels.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kCols = 40;

class StepGraphTest : public testing::Test {
 protected:
  StepGraphTest() {
    std::vector<float> ones(kCols, 1.0F);
    device_.upload(x_.data(), ones.data(), sizeof(float) * kCols);
    std::fill(ones.begin(), ones.end(), 0.0F);
    device_.upload(y_.data(), ones.data(), sizeof(float) * kCols);
  }

  void add_one() {
    add({x_.as<float>(), 1, kCols, kCols}, {y_.as<float>(), 1, kCols, kCols}, device_.stream());
  }
  void step(int additions) {
    device_.collect();
    for (int i = 0; i < additions; ++i) add_one();
    device_.launch_collected();
  }
  float sum() {
    std::vector<float> host(kCols);
    device_.download(host.data(), y_.data(), sizeof(float) * kCols);
    return std::accumulate(host.begin(), host.end(), 0.0F) / kCols;
  }

  Device device_{0};
  Buffer x_ = device_.allocate(sizeof(float) * kCols);
  Buffer y_ = device_.allocate(sizeof(float) * kCols);
};

TEST_F(StepGraphTest, StepsThatAreAlikeShareAnInstance) {
  for (int i = 0; i < 4; ++i) step(3);
  EXPECT_EQ(sum(), 12);
  EXPECT_EQ(device_.graph().launches(), 4U);
  EXPECT_EQ(device_.graph().instances(), 1U);
}

TEST_F(StepGraphTest, AnotherShapeMakesAnother) {
  step(3);
  step(4);
  step(4);
  EXPECT_EQ(sum(), 11);
  EXPECT_EQ(device_.graph().instances(), 2U);
}

TEST_F(StepGraphTest, NothingCollectedIsNothingStarted) {
  step(0);
  EXPECT_EQ(device_.graph().launches(), 0U);
}

// Each ends the collecting, and what comes after is started as ever.
TEST_F(StepGraphTest, WaitingAllocatingAndFreeingStartWhatWasCollected) {
  device_.collect();
  add_one();
  EXPECT_EQ(sum(), 1);
  add_one();
  device_.launch_collected();
  EXPECT_EQ(sum(), 2);
  device_.collect();
  add_one();
  Buffer more = device_.allocate(64);
  add_one();
  device_.launch_collected();
  device_.collect();
  add_one();
  more = Buffer();
  add_one();
  device_.launch_collected();
  EXPECT_EQ(sum(), 6);
  EXPECT_EQ(device_.graph().launches(), 3U);
}

TEST_F(StepGraphTest, WhatWasCollectedMayBeForgotten) {
  device_.collect();
  add_one();
}

}  // namespace
}  // namespace varve::cuda
