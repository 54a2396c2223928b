#include "tests/cuda_on_cpu/emulator/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <stdexcept>

namespace varve::emulator {
namespace {

TEST(Schedule, IsReadAndWritten) {
  EXPECT_EQ(parse_schedule("forward"), (Schedule{Order::kForward, 0, Copies::kEarly}));
  EXPECT_EQ(parse_schedule("reverse,late"), (Schedule{Order::kReverse, 0, Copies::kLate}));
  EXPECT_EQ(parse_schedule("random:17,early"), (Schedule{Order::kRandom, 17, Copies::kEarly}));
  for (const char* text : {"forward,late", "reverse,early", "random:18446744073709551615,late"}) {
    EXPECT_EQ(to_string(parse_schedule(text)), text);
  }
}

TEST(Schedule, WhatIsWrongIsRejectedWithWhatIsRight) {
  for (const char* text : {"", "forwards", "random", "random:", "random:x", "random:1x", "late",
                           "forward,", "forward,late,early", "random:18446744073709551616"}) {
    EXPECT_THAT([text] { parse_schedule(text); },
                testing::ThrowsMessage<std::invalid_argument>(
                    testing::AllOf(testing::HasSubstr("random:SEED"), testing::HasSubstr(text))))
        << text;
  }
}

// CMake runs the tests of words under several values of the variable.
TEST(Schedule, IsTheEnvironmentsUntilItIsSet) {
  const char* const text = std::getenv("VARVE_CUDA_SCHEDULE");
  EXPECT_EQ(schedule(), text == nullptr ? Schedule{} : parse_schedule(text));
  const Schedule before = schedule();
  set_schedule({Order::kRandom, 3, Copies::kLate});
  EXPECT_EQ(schedule(), (Schedule{Order::kRandom, 3, Copies::kLate}));
  set_schedule(before);
}

std::vector<std::uint64_t> blocks_in_order(Order order, std::uint64_t count, std::uint64_t seed) {
  Random random(seed);
  const BlockOrder block(order, count, random);
  std::vector<std::uint64_t> blocks;
  for (std::uint64_t i = 0; i < count; ++i) blocks.push_back(block(i));
  return blocks;
}

TEST(BlockOrder, ForwardAndReverse) {
  EXPECT_THAT(blocks_in_order(Order::kForward, 4, 0), testing::ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(blocks_in_order(Order::kReverse, 4, 0), testing::ElementsAre(3, 2, 1, 0));
}

TEST(BlockOrder, EveryBlockOnceInEveryOrder) {
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    for (const std::uint64_t count : {1, 2, 3, 12, 97, 360}) {
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const auto blocks = blocks_in_order(order, count, seed);
        EXPECT_EQ(std::set(blocks.begin(), blocks.end()).size(), count);
        EXPECT_LT(*std::max_element(blocks.begin(), blocks.end()), count);
      }
    }
  }
}

TEST(BlockOrder, RandomOrdersDiffer) {
  EXPECT_NE(blocks_in_order(Order::kRandom, 97, 1), blocks_in_order(Order::kRandom, 97, 2));
  EXPECT_EQ(blocks_in_order(Order::kRandom, 97, 1), blocks_in_order(Order::kRandom, 97, 1));
}

}  // namespace
}  // namespace varve::emulator
