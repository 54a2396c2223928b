// A verb called again with the same shapes allocates nothing: its work memory is there from the
// first call. This program counts every call of operator new and, for buffers, of aligned_alloc.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>

#include "tests/kernels/attend_fixture.h"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(std::size_t bytes) {
  ++allocations;
  if (void* data = std::malloc(std::max<std::size_t>(bytes, 1))) return data;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes);
}
void* operator new[](std::size_t bytes) {
  return counted(bytes);
}
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  ++allocations;
  void* data = nullptr;
  return posix_memalign(&data, alignment, bytes) == 0 ? data : nullptr;
}
void operator delete(void* data) noexcept {
  std::free(data);
}
void operator delete[](void* data) noexcept {
  std::free(data);
}
void operator delete(void* data, std::size_t) noexcept {
  std::free(data);
}
void operator delete[](void* data, std::size_t) noexcept {
  std::free(data);
}

namespace varve::test {
namespace {

class AllocationTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = make_ops(GetParam(), 2);
  Random random_{3};

  template <class Verb>
  static std::size_t allocations_of_second(const Verb& verb) {
    verb();
    const std::size_t before = allocations;
    verb();
    return allocations - before;
  }
};

TEST_P(AllocationTest, TheCounterCounts) {
  const std::size_t before = allocations;
  ::operator delete(::operator new(8));
  EXPECT_EQ(allocations - before, 1U);
  ops_->allocate(100);
  EXPECT_EQ(allocations - before, 2U);
}

TEST_P(AllocationTest, Linear) {
  const StoredWeight gate(DType::kQ4_1, 1024, 288, random_);
  const StoredWeight up(DType::kF16, 1024, 288, random_);
  const Weight a = ops_->prepare(gate.view());
  const Weight b = ops_->prepare(up.view());
  for (const std::size_t rows : {1, 8, 200}) {
    Rows x = Rows::random(rows, 288, random_);
    Rows ya(rows, 1024);
    Rows yb(rows, 1024);
    for (const Products products : {Products::kFloat, Products::kSplit}) {
      EXPECT_EQ(allocations_of_second([&] {
                  ops_->linear(x.view(),
                               std::array{Projection{a, ya.view()}, Projection{b, yb.view()}},
                               products);
                }),
                0U)
          << rows;
    }
  }
}

TEST_P(AllocationTest, Attention) {
  const Shape shape{.q_heads = 6, .kv_heads = 2};
  const CachedRows cache = random_cache(*ops_, shape, 2500, random_);
  for (const std::size_t rows : {1, 8, 300}) {
    Rows q = Rows::random(rows, 6 * 64, random_);
    std::vector<std::int32_t> positions(rows);
    std::iota(positions.begin(), positions.end(), 2200);
    State state(*ops_, rows, 6, 64);
    const std::array items{AttendItem{0, rows, cache.view(2500)}};
    EXPECT_EQ(allocations_of_second([&] {
                ops_->clear(state.view());
                ops_->attend(q.view(), positions, items, shape.params(), state.view());
              }),
              0U)
        << rows;
  }
}

TEST_P(AllocationTest, CachedRows) {
  const Shape shape{.q_heads = 6, .kv_heads = 2};
  test::CachedRows cache = random_cache(*ops_, shape, 500, random_);
  test::CachedRows ints(DType::kInt4, 2, 64, 500);
  const SegmentView view = cache.view(500);
  const SegmentStore from = cache.store(500);
  const SegmentStore into = ints.store();
  const std::vector<std::uint32_t> rows{3, 4, 77, 499};
  const Rows angles = Rows::random(500, 64, random_);
  Rows keys(500, 64);
  EXPECT_EQ(allocations_of_second([&] {
              ops_->rope_keys(view, angles.view(), RopeLayout::kHalves, from);
              ops_->encode_rows(view, into);
              ops_->decode_rows(into.view(), 1, 0, keys.view(), keys.view());
              ops_->gather_rows(view, 0, rows, from, 0);
            }),
            0U);
}

TEST_P(AllocationTest, RowwiseVerbs) {
  Rows x = Rows::random(300, 576, random_);
  Rows y = Rows::random(300, 576, random_);
  const std::vector<float> gain(576, 1.0F);
  const Weight factors = vector_weight(*ops_, gain);
  std::vector<RowSummary> summaries(300);
  EXPECT_EQ(allocations_of_second([&] {
              ops_->rms_norm(x.view(), factors, 1e-6, y.view());
              ops_->silu_mul(x.view(), y.view(), y.view());
              ops_->add(x.view(), y.view());
              ops_->summarize(y.view(), summaries);
            }),
            0U);
}

INSTANTIATE_TEST_SUITE_P(Backends, AllocationTest, testing::ValuesIn(fast_backends()),
                         [](const testing::TestParamInfo<std::string>& test) {
                           return test_name(test.param);
                         });

}  // namespace
}  // namespace varve::test
