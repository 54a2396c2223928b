#include "common/policy/decode_schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace varve {
namespace {

Component schedule(std::string_view name, double heavy, double recent, bool literal = false) {
  Component decode = make_component(name, {{"heavy", heavy}, {"recent", recent}});
  if (literal) decode.set("literal", 1);
  return decode;
}

std::vector<std::size_t> due_steps(const DecodeSchedule& s, std::size_t last) {
  std::vector<std::size_t> steps;
  for (std::size_t t = 1; t <= last; ++t) {
    if (s.due(t)) steps.push_back(t);
  }
  return steps;
}

TEST(DecodeSchedule, KeepAndOnePoolHaveNoPool) {
  for (const char* name : {"keep", "one_pool"}) {
    const DecodeSchedule s(make_component(name), 100);
    EXPECT_FALSE(s.has_pool());
    EXPECT_FALSE(s.due(50));
    EXPECT_EQ(s.pool_limit(50), 50U);
    EXPECT_EQ(s.peak_rows(), 100U);
  }
}

// The paper's figures for T = 4096, beta1 = beta2 = 256.
TEST(DecodeSchedule, PublishedGrowth) {
  const DecodeSchedule s(schedule("adaptive", 256, 256), 4096);
  EXPECT_EQ(s.pool_limit(1), 256U);
  EXPECT_EQ(s.pool_limit(256), 256U);
  EXPECT_EQ(s.pool_limit(1024), 307U);
  EXPECT_EQ(s.pool_limit(4096), 512U);
  EXPECT_EQ(s.pool_limit(5000), 512U);
  const DecodeSchedule d(schedule("discontinuous", 256, 256), 4096);
  const std::vector<std::size_t> steps = due_steps(d, 4096);
  ASSERT_EQ(steps.size(), 256U);
  EXPECT_EQ(steps[0], 256U + 15);
  EXPECT_EQ(steps[1], 256U + 30);
  EXPECT_EQ(steps.back(), 4096U);
  EXPECT_FALSE(d.due(256));
  EXPECT_EQ(d.peak_rows(), 256U + 255 + 15);
  EXPECT_EQ(d.rows_after(4096), 512U);
}

TEST(DecodeSchedule, ExactlyHeavyChoicesWhereThePeriodIsNoWholeNumber) {
  for (const std::size_t heavy : {1U, 3U, 7U, 100U, 255U}) {
    for (const std::size_t steps : {300U, 1000U, 4095U}) {
      const DecodeSchedule s(schedule("discontinuous", static_cast<double>(heavy), 37), steps);
      if (heavy > steps - 37) continue;
      EXPECT_EQ(due_steps(s, steps).size(), heavy) << heavy << " in " << steps;
    }
  }
}

TEST(DecodeSchedule, WithoutHeavyRowsItIsASlidingWindow) {
  for (const char* name : {"slide", "adaptive", "discontinuous"}) {
    const DecodeSchedule s(schedule(name, 0, 5), 40);
    for (std::size_t t = 1; t <= 40; ++t) {
      EXPECT_EQ(s.due(t), t > 5) << name << t;
      EXPECT_EQ(s.rows_after(t), std::min<std::size_t>(t, 5)) << name << t;
    }
    EXPECT_EQ(s.peak_rows(), 6U);
  }
}

TEST(DecodeSchedule, SlideHoldsAtMostItsTwoParts) {
  const DecodeSchedule s(schedule("slide", 7, 5), 100);
  for (std::size_t t = 1; t <= 100; ++t) {
    EXPECT_EQ(s.rows_after(t), std::min<std::size_t>(t, 12));
  }
  EXPECT_EQ(s.peak_rows(), 13U);
  EXPECT_EQ(DecodeSchedule(schedule("slide", 7, 5), 12).peak_rows(), 12U);
  EXPECT_EQ(DecodeSchedule(schedule("slide", 7, 5), 0).peak_rows(), 0U);
}

TEST(DecodeSchedule, PoolsStayWithinTheirBounds) {
  for (const std::size_t steps : {13U, 64U, 257U, 1000U}) {
    for (const double heavy : {1, 9, 64}) {
      const DecodeSchedule a(schedule("adaptive", heavy, 11), steps);
      const DecodeSchedule d(schedule("discontinuous", heavy, 11), steps);
      const std::size_t gap = (steps - 11) / static_cast<std::size_t>(heavy) + 1;
      std::size_t most = 0;
      for (std::size_t t = 1; t <= steps; ++t) {
        EXPECT_LE(a.rows_after(t), a.pool_limit(t));
        EXPECT_EQ(a.rows_after(t), std::min(t, a.pool_limit(t)));
        EXPECT_LE(d.rows_after(t), d.pool_limit(t) + gap);
        EXPECT_GE(d.rows_after(t), std::min<std::size_t>(t, 11));
        most = std::max(most, d.rows_after(t - 1) + 1);
      }
      EXPECT_EQ(d.peak_rows(), most);
      EXPECT_LE(d.rows_after(steps), 11 + static_cast<std::size_t>(heavy));
    }
  }
}

TEST(DecodeSchedule, KeepsAllOfAShortAnswer) {
  for (const char* name : {"slide", "adaptive", "discontinuous"}) {
    const DecodeSchedule s(schedule(name, 256, 256), 200);
    EXPECT_EQ(s.rows_after(200), 200U) << name;
    EXPECT_EQ(s.peak_rows(), 200U) << name;
  }
}

// The published code: T = 4096, window 512, recent 256 (delta 15), and window 1024 (delta 5).
TEST(DecodeSchedule, LiteralGrowth) {
  const DecodeSchedule s(schedule("adaptive", 256, 256, true), 4096);
  EXPECT_EQ(s.pool_limit(1024), 324U);
  EXPECT_EQ(s.pool_limit(4096), 529U);
  EXPECT_EQ(DecodeSchedule(schedule("adaptive", 768, 256, true), 4096).pool_limit(4096), 1075U);
}

TEST(DecodeSchedule, LiteralChoicesAreOneStepTooFarApart) {
  const DecodeSchedule d(schedule("discontinuous", 256, 256, true), 4096);
  const std::vector<std::size_t> steps = due_steps(d, 4096);
  EXPECT_EQ(steps.size(), 238U);
  EXPECT_EQ(steps[1] - steps[0], 16U);
  EXPECT_EQ(d.peak_rows(), 543U);
}

TEST(DecodeSchedule, LiteralWithoutHeavyRowsOrRoomDividesByNothing) {
  EXPECT_EQ(DecodeSchedule(schedule("adaptive", 0, 8, true), 100).pool_limit(50), 8U);
  EXPECT_EQ(DecodeSchedule(schedule("discontinuous", 0, 8, true), 100).peak_rows(), 9U);
  EXPECT_EQ(DecodeSchedule(schedule("discontinuous", 90, 20, true), 30).peak_rows(), 30U);
  EXPECT_EQ(DecodeSchedule(schedule("adaptive", 90, 20, true), 20).peak_rows(), 20U);
}

}  // namespace
}  // namespace varve
