// The small words: atomics, bits, conversions. And what must not compile.
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/cuda_on_cpu/emulator/test_kernel.h"

namespace varve::emulator {
namespace {

template <class T>
concept CanAdd = requires(T* p, T value) {
  atomicAdd(p, value);
};
template <class T>
concept CanShuffle = requires(T value) {
  __shfl_xor_sync(~0U, value, 1);
};

// Bug 14 of samples/bug.h: a sum whose rounding depends on the order of threads.
static_assert(!CanAdd<float> && !CanAdd<double>);
static_assert(CanAdd<int> && CanAdd<unsigned> && CanAdd<unsigned long long>);
// nvcc has no overload for these either.
static_assert(!CanAdd<unsigned long> && !CanAdd<short>);
static_assert(CanShuffle<float> && CanShuffle<double> && !CanShuffle<short>);

template <class T>
struct Counters {
  T sum, largest, smallest, first;
};

template <class T>
__global__ void count(Counters<T>* counters, const T* values) {
  const T value = values[threadIdx.x];
  atomicAdd(&counters->sum, value);
  atomicMax(&counters->largest, value);
  atomicMin(&counters->smallest, value);
  atomicCAS(&counters->first, T{0}, value);
}

template <class T>
class AtomicTest : public testing::Test {};
using AtomicTypes = testing::Types<int, unsigned, unsigned long long>;
TYPED_TEST_SUITE(AtomicTest, AtomicTypes);

TYPED_TEST(AtomicTest, ComeToTheSameInAnyOrder) {
  for (const char* text : kSchedules) {
    const WithSchedule schedule(text);
    std::vector<TypeParam> values(96);
    TypeParam sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<TypeParam>(i * 37 % 97 + 5);
      sum += values[i];
    }
    Counters<TypeParam> counters{0, 0, std::numeric_limits<TypeParam>::max(), 0};
    run_block<count<TypeParam>>(96, 0, &counters, values.data());
    EXPECT_EQ(counters.sum, sum);
    EXPECT_EQ(counters.largest, *std::max_element(values.begin(), values.end()));
    EXPECT_EQ(counters.smallest, *std::min_element(values.begin(), values.end()));
    EXPECT_THAT(values, testing::Contains(counters.first));
  }
}

TEST(Atomics, ReturnTheOldValue) {
  int x = 5;
  EXPECT_EQ(atomicAdd(&x, -7), 5);
  EXPECT_EQ(atomicMax(&x, 3), -2);
  EXPECT_EQ(atomicMin(&x, 10), 3);
  EXPECT_EQ(atomicCAS(&x, 4, 9), 3);
  EXPECT_EQ(atomicCAS(&x, 3, 9), 3);
  EXPECT_EQ(x, 9);
}

TEST(Bits, AreCountedAsCudaDoes) {
  EXPECT_EQ(__popc(0xf0f0U), 8);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(-1), 0);
  EXPECT_EQ(__clz(0x00010000), 15);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(0x00010000), 17);
  EXPECT_EQ(__float_as_uint(-2.0F), 0xc0000000U);
  EXPECT_EQ(__uint_as_float(0x40490fdbU), 3.14159274F);
}

template <class A, class B>
concept CanCompare = requires(A a, B b) {
  min(a, b);
  max(a, b);
};
static_assert(CanCompare<int, int> && !CanCompare<int, unsigned> && !CanCompare<float, float>);

TEST(MinMax, AreOfIntegersOfOneType) {
  EXPECT_EQ(min(-3, 2), -3);
  EXPECT_EQ(max(3U, 2U), 3U);
}

TEST(Pack, RoundsToNearestAndPutsTheFirstLow) {
  EXPECT_EQ(gpu::pack_bf16(1.0F, -2.0F), 0xc0003f80U);
  EXPECT_EQ(gpu::pack_f16(1.0F, -2.0F), 0xc0003c00U);
  // Halfway between two: to the even one.
  EXPECT_EQ(gpu::pack_bf16(0x1.01p0F, 0x1.03p0F), 0x3f823f80U);
  EXPECT_EQ(gpu::pack_f16(0x1.002p0F, 0x1.006p0F), 0x3c023c00U);
  EXPECT_EQ(gpu::pack_f16(65520.0F, 0x1p-25F), 0x00007c00U);
}

TEST(Exp2, IsAPowerOfTwo) {
  EXPECT_EQ(gpu::exp2_fast(-3.0F), 0.125F);
  EXPECT_EQ(gpu::exp2_fast(-INFINITY), 0.0F);
}

}  // namespace
}  // namespace varve::emulator
