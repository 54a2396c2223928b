// Recorded shapes of a prefill, replayed.
#include "coordinator/jobs/prefill_clock.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace varve {
namespace {

struct Trace {
  std::vector<std::size_t> rows;
  std::vector<double> seconds;
};

// Chunks of `chunk` rows whose time grows with their depth, some per cent of noise, and a first one
// that waits for the disk.
Trace recorded(std::size_t total, std::size_t chunk, double per_row, double per_pair, double noise,
               double first, unsigned seed) {
  std::mt19937 random(seed);
  Trace trace;
  double now = first;
  for (std::size_t at = 0; at < total;) {
    const std::size_t next = std::min(at + chunk, total);
    const auto x = static_cast<double>(next - at);
    const auto depth = static_cast<double>(at + next) / 2;
    const double wobble = 1 + noise * (2 * static_cast<double>(random() % 1000) / 999 - 1);
    now += wobble * (per_row * x + per_pair * x * depth);
    trace.rows.push_back(next);
    trace.seconds.push_back(now);
    at = next;
  }
  return trace;
}

// The estimate of the whole time, made after a share of the document.
double estimate_after(const Trace& trace, double share) {
  PrefillClock clock;
  std::size_t i = 0;
  while (static_cast<double>(trace.rows[i]) < share * static_cast<double>(trace.rows.back())) {
    clock.add(trace.rows[i], trace.seconds[i]);
    ++i;
  }
  return trace.seconds[i - 1] + clock.remaining(trace.rows.back()).value();
}

TEST(PrefillClock, KnowsNothingBeforeTheFirstChunk) {
  PrefillClock clock;
  EXPECT_EQ(clock.remaining(100), std::nullopt);
  clock.add(0, 0);
  EXPECT_EQ(clock.remaining(100), std::nullopt);
}

TEST(PrefillClock, OneChunkIsARate) {
  PrefillClock clock;
  clock.add(100, 2);
  EXPECT_DOUBLE_EQ(clock.remaining(400).value(), 6);
}

TEST(PrefillClock, ExactTimesGiveTheExactEnd) {
  const Trace trace = recorded(100'000, 512, 1e-3, 1e-7, 0, 0, 1);
  EXPECT_NEAR(estimate_after(trace, 0.05), trace.seconds.back(), 1e-6 * trace.seconds.back());
}

TEST(PrefillClock, RateAloneWouldBeFarOff) {
  const Trace trace = recorded(100'000, 512, 1e-3, 1e-7, 0, 0, 1);
  const double at_rate = trace.seconds[19] / static_cast<double>(trace.rows[19]) * 100'000;
  EXPECT_LT(at_rate, 0.3 * trace.seconds.back());
}

class PrefillReplay : public testing::TestWithParam<unsigned> {};

TEST_P(PrefillReplay, NoisyTimesAreTenPerCentRightAfterAQuarter) {
  const Trace trace = recorded(64'000, 512, 1e-3, 5e-8, 0.05, 20, GetParam());
  EXPECT_NEAR(estimate_after(trace, 0.25), trace.seconds.back(), 0.10 * trace.seconds.back());
  EXPECT_NEAR(estimate_after(trace, 0.75), trace.seconds.back(), 0.02 * trace.seconds.back());
}

TEST_P(PrefillReplay, FlatTimesStayFlat) {
  const Trace trace = recorded(64'000, 512, 1e-3, 0, 0.05, 0, GetParam());
  EXPECT_NEAR(estimate_after(trace, 0.25), trace.seconds.back(), 0.10 * trace.seconds.back());
}

INSTANTIATE_TEST_SUITE_P(Seeds, PrefillReplay, testing::Range(0U, 20U));

TEST(PrefillClock, NeverNegativeAndZeroAtTheEnd) {
  PrefillClock clock;
  // Faster and faster: no growth can be fitted.
  double now = 0;
  for (std::size_t i = 1; i <= 10; ++i) {
    now += 1.0 / static_cast<double>(i);
    clock.add(100 * i, now);
    EXPECT_GE(clock.remaining(2000).value(), 0);
  }
  EXPECT_DOUBLE_EQ(clock.remaining(1000).value(), 0);
  EXPECT_DOUBLE_EQ(clock.remaining(10).value(), 0);
}

TEST(PrefillClock, SameRowsAgainChangeNothing) {
  PrefillClock clock;
  clock.add(100, 2);
  clock.add(100, 50);
  EXPECT_DOUBLE_EQ(clock.remaining(200).value(), 2);
}

}  // namespace
}  // namespace varve
