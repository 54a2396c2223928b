// The kernels' own e^x and ln x against double precision, as the host compiles them; the tests of
// ops on interpreted PTX show that nvcc's are the same bits.
#include "kernels/cuda/real_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace varve::cuda {
namespace {

constexpr double kBound = 1.1e-7;

TEST(ExpF32, IsWithinItsBoundWhereverItIsNormal) {
  double worst = 0;
  for (float x = -87.3F; x < 88.7F; x += 1e-4F) {
    worst = std::max(worst, std::abs(exp_f32(x) / std::exp(static_cast<double>(x)) - 1));
  }
  EXPECT_LT(worst, kBound);
}

TEST(ExpF32, SmallResultsFadeToZeroWithoutAStep) {
  for (float x = -104; x < -87; x += 1e-3F) {
    const double expected = std::exp(static_cast<double>(x));
    EXPECT_NEAR(exp_f32(x), expected, 1.5e-45 + expected * kBound) << x;
  }
}

TEST(ExpF32, AtTheEdges) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exp_f32(0), 1);
  EXPECT_EQ(exp_f32(-kInfinity), 0);
  EXPECT_EQ(exp_f32(-1e30F), 0);
  EXPECT_EQ(exp_f32(kInfinity), kInfinity);
  EXPECT_EQ(exp_f32(1e30F), kInfinity);
  EXPECT_TRUE(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
}

TEST(LogF32, IsWithinItsBound) {
  double worst = 0;
  for (float x = 1e-37F; x < 1e38F; x *= 1.00003F) {
    const double expected = std::log(static_cast<double>(x));
    const double whole = std::abs(static_cast<double>(x) - 1);
    const double scale = std::max(std::abs(expected), std::min(whole, 1e-3));
    if (scale > 0) worst = std::max(worst, std::abs(log_f32(x) - expected) / scale);
  }
  EXPECT_LT(worst, kBound);
  EXPECT_EQ(log_f32(1), 0);
}

}  // namespace
}  // namespace varve::cuda
