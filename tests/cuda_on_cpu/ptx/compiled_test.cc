// What nvcc makes of functions, interpreted, against what the host compiler makes of them. The PTX
// is the first .ptx file of the folder VARVE_PTX.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "tests/cuda_on_cpu/ptx/compiled_functions.h"
#include "tests/cuda_on_cpu/ptx/library.h"
#include "tests/cuda_on_cpu/ptx/rounding.h"

namespace varve::ptx {
namespace {

constexpr unsigned kNumbers = 128;

class Compiled : public testing::Test {
 protected:
  void SetUp() override { library_.add(std::getenv("VARVE_PTX")); }

  template <class In, class Out>
  std::vector<Out> run(const char* kernel, const std::vector<In>& in, std::size_t results,
                       Grid grid) {
    std::vector<Out> out(results);
    const void* const from = in.data();
    void* const to = out.data();
    const std::array<Argument, 2> arguments{{{&from, sizeof from}, {&to, sizeof to}}};
    const Program& program = library_.find(kernel, "", {});
    EXPECT_THAT(program.unsupported, testing::IsEmpty());
    run_grid(program, grid, arguments);
    return out;
  }

  // functions() of each number, functions in order.
  template <class T>
  std::vector<T> each(const char* kernel, const std::vector<T>& in, unsigned functions) {
    return run<T, T>(kernel, in, in.size() * functions,
                     {{2, functions, 1}, {kNumbers / 2, 1, 1}, 0});
  }

  Library library_;
};

std::uint64_t scrambled(std::uint64_t i) {
  return (i + 1) * 0x9e3779b97f4a7c15U ^ i << 40U;
}

template <class T>
std::vector<T> numbers() {
  std::vector<T> all{0, T(-0.0), 1, -1, T(0.5), T(1e-5), T(1e6), T(-123456.7), T(80), T(-80)};
  while (all.size() < kNumbers) {
    const auto x = static_cast<double>(scrambled(all.size()) >> 11U) * 0x1p-53;
    all.push_back(static_cast<T>((x - 0.5) * std::pow(10, static_cast<double>(all.size() % 4))));
  }
  return all;
}

// Both are good to some units in the last place; what is infinite or no number must be so in both.
template <class T>
testing::AssertionResult near(T got, T wanted) {
  if (std::isnan(wanted) && std::isnan(got)) return testing::AssertionSuccess();
  if (got == wanted) return testing::AssertionSuccess();
  const T unit = std::fmax(std::fabs(wanted), T(1e-30)) * std::numeric_limits<T>::epsilon();
  if (std::fabs(got - wanted) <= 4 * unit) return testing::AssertionSuccess();
  return testing::AssertionFailure() << got << " for " << wanted;
}

TEST_F(Compiled, FloatFunctions) {
  const std::vector<float> in = numbers<float>();
  const std::vector<float> out = each("float_functions", in, kFloatFunctions);
  for (int f = 0; f < kFloatFunctions; ++f) {
    for (unsigned i = 0; i < kNumbers; ++i) {
      const float wanted = float_function(f, in[i]);
      EXPECT_TRUE(near(out[static_cast<unsigned>(f) * kNumbers + i], wanted))
          << "function " << f << " of " << in[i];
    }
  }
}

TEST_F(Compiled, DoubleFunctions) {
  const std::vector<double> in = numbers<double>();
  const std::vector<double> out = each("double_functions", in, kDoubleFunctions);
  for (int f = 0; f < kDoubleFunctions; ++f) {
    for (unsigned i = 0; i < kNumbers; ++i) {
      const double wanted = double_function(f, in[i]);
      EXPECT_TRUE(near(out[static_cast<unsigned>(f) * kNumbers + i], wanted))
          << "function " << f << " of " << in[i];
    }
  }
}

TEST_F(Compiled, IntegerFunctions) {
  std::vector<std::uint64_t> in{0, 1, ~std::uint64_t{0}, std::uint64_t{1} << 63U, 0xffffffffU, 255};
  while (in.size() < kNumbers) in.push_back(scrambled(in.size()) >> in.size() % 50);
  const std::vector<std::uint64_t> out = each("integer_functions", in, kIntegerFunctions);
  for (int f = 0; f < kIntegerFunctions; ++f) {
    for (unsigned i = 0; i < kNumbers; ++i) {
      // Beyond the range of a conversion the two may differ.
      if (f == kIntegerFunctions - 1 && in[i] >= std::uint64_t{1} << 62U) continue;
      EXPECT_EQ(out[static_cast<unsigned>(f) * kNumbers + i], integer_function(f, in[i]))
          << "function " << f << " of " << in[i];
    }
  }
}

TEST_F(Compiled, CalledFunctions) {
  struct Pair {
    float x, y;
  };
  std::vector<Pair> in(64);
  for (unsigned i = 0; i < 64; ++i) in[i] = {static_cast<float>(i), 100};
  const auto out = run<Pair, Pair>("called", in, 64, {{1, 1, 1}, {64, 1, 1}, 0});
  for (unsigned i = 0; i < 64; ++i) {
    Pair wanted = in[i];
    for (unsigned turn = 0; turn < i + 3; ++turn) wanted = {wanted.y + 1, wanted.x};
    EXPECT_EQ(out[i].x, wanted.x) << i;
    EXPECT_EQ(out[i].y, wanted.y) << i;
  }
}

template <class T>
void expect_pairs(const std::vector<std::uint32_t>& in, const std::vector<std::uint32_t>& out) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (const unsigned half : {0U, 16U}) {
      const auto number = [half](std::uint32_t pair) {
        return widen(T{static_cast<std::uint16_t>(pair >> half)});
      };
      const double a = number(in[3 * lane]);
      const double b = number(in[3 * lane + 1]);
      const double c = number(in[3 * lane + 2]);
      EXPECT_EQ(number(out[4 * lane]), widen(narrow<T>(fused(a, b, c))));
      EXPECT_EQ(number(out[4 * lane + 1]), std::fmax(a, b));
      EXPECT_EQ(number(out[4 * lane + 2]), widen(narrow<T>(a + b)));
      EXPECT_EQ(number(out[4 * lane + 3]), widen(narrow<T>(a * b)));
    }
  }
}

template <class T>
std::vector<std::uint32_t> random_pairs() {
  std::vector<std::uint32_t> all;
  const auto number = [](std::uint64_t i) {
    return narrow<T>(static_cast<double>(scrambled(i) >> 40U) * 0x1p-22 - 2).bits;
  };
  for (std::uint64_t i = 0; i < 96; ++i) {
    all.push_back(number(2 * i) | static_cast<std::uint32_t>(number(2 * i + 1)) << 16U);
  }
  return all;
}

TEST_F(Compiled, PairsOfHalves) {
  const auto in = random_pairs<Half>();
  using Words = std::uint32_t;
  expect_pairs<Half>(in, run<Words, Words>("half_pairs", in, 128, {{1, 1, 1}, {32, 1, 1}, 0}));
}

TEST_F(Compiled, PairsOfBf16) {
  const auto in = random_pairs<Bf16>();
  using Words = std::uint32_t;
  expect_pairs<Bf16>(in, run<Words, Words>("bf16_pairs", in, 128, {{1, 1, 1}, {32, 1, 1}, 0}));
}

}  // namespace
}  // namespace varve::ptx
