#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "tests/kernels/attend_fixture.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

class AttendTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = test_ops(GetParam(), 2);
  Random random_{3};

  static std::vector<std::int32_t> counting(std::int32_t first, std::size_t count) {
    std::vector<std::int32_t> positions(count);
    std::iota(positions.begin(), positions.end(), first);
    return positions;
  }

  State attend(const Shape& shape, ConstMatrix q, const std::vector<std::int32_t>& positions,
               const std::vector<AttendItem>& items, std::optional<std::size_t> window = {}) {
    State state(*ops_, q.rows, shape.q_heads, shape.dim);
    ops_->attend(q, positions, items, shape.params(window), state.view());
    EXPECT_TRUE(state.out.gaps_intact());
    return state;
  }

  // The last `rows` positions of a segment of `keys` rows ask about all of it.
  void expect_prefill(const Shape& shape, std::size_t keys, std::size_t rows,
                      std::optional<std::size_t> window = {}) {
    SCOPED_TRACE(testing::Message()
                 << shape.q_heads << "/" << shape.kv_heads << " heads of " << shape.dim << ", "
                 << dtype_info(shape.dtype).name << ", " << keys << " keys, " << rows << " rows");
    const CachedRows cache = random_cache(*ops_, shape, keys, random_);
    const Rows q = Rows::random(rows, shape.q_heads * shape.dim, random_, 3);
    const auto positions = counting(static_cast<std::int32_t>(keys - rows), rows);
    const std::vector<AttendItem> items{{0, rows, cache.view(keys)}};
    State got = attend(shape, q.view(), positions, items, window);
    expect_attention(got, direct_attention(shape, q.view(), positions, items, window), shape);
  }
};

TEST_P(AttendTest, MatchesDirectSoftmaxForEveryHeadShape) {
  for (const auto& [q_heads, kv_heads] : {std::pair{9, 3}, {4, 2}, {1, 1}, {8, 1}}) {
    for (const std::size_t dim : {16, 20, 64, 80, 128, 256}) {
      const Shape shape{static_cast<std::size_t>(q_heads), static_cast<std::size_t>(kv_heads), dim};
      expect_prefill(shape, 130, 1);
      expect_prefill(shape, 75, 13);
    }
  }
}

TEST_P(AttendTest, MatchesDirectSoftmaxForEveryRowFormatAndLength) {
  for (const DType dtype : kCachedTypes) {
    const Shape shape{2, 1, 32, dtype};
    for (const std::size_t keys : {1, 2, 63, 64, 65, 1023, 1024, 1025, 2100}) {
      expect_prefill(shape, keys, 1);
      expect_prefill(shape, keys, std::min<std::size_t>(keys, 50));
    }
  }
}

TEST_P(AttendTest, MatchesDirectSoftmaxForEveryHeadShapeOfIntegerRows) {
  for (const DType dtype : kGroupTypes) {
    for (const auto& [q_heads, kv_heads] : {std::pair{9, 3}, {4, 2}, {1, 1}, {4, 1}, {8, 1}}) {
      for (const std::size_t dim : {32, 64, 96, 128}) {
        const Shape shape{static_cast<std::size_t>(q_heads), static_cast<std::size_t>(kv_heads),
                          dim, dtype};
        expect_prefill(shape, 150, 1);
        expect_prefill(shape, 75, 13);
      }
    }
  }
}

// Many rows and one, as a device takes them by different kernels.
TEST_P(AttendTest, LongHeadsOfEveryRowFormat) {
  for (const DType dtype : {DType::kF16, DType::kBF16, DType::kInt8}) {
    for (const std::size_t dim : {96, 128, 256}) {
      expect_prefill({4, 4, dim, dtype}, 130, 130);
      expect_prefill({4, 1, dim, dtype}, 70, 1);
    }
  }
}

// Heads of a few rows, of whole runs and of none, each with positions of its own.
TEST_P(AttendTest, HeadsMayHoldDifferentNumbersOfRows) {
  const std::vector<std::size_t> rows{70, 0, 1100, 1};
  for (const DType dtype : kCachedTypes) {
    const Shape shape{8, 4, 64, dtype};
    const CachedRows cache = ragged_cache(*ops_, shape, rows, random_, 10);
    const std::vector<std::int32_t> positions{9, 12, 150, 151, 700, 1900, 2300};
    const Rows q = Rows::random(positions.size(), 8 * 64, random_);
    const std::vector<AttendItem> items{{0, positions.size(), cache.view()}};
    for (const std::optional<std::size_t> window : {std::optional<std::size_t>{}, {100}}) {
      State got = attend(shape, q.view(), positions, items, window);
      expect_attention(got, direct_attention(shape, q.view(), positions, items, window), shape);
      EXPECT_EQ(got.lse.row(6)[2], kNone) << "of the head without rows";
    }
  }
}

TEST_P(AttendTest, OneHeadOfASegmentIsASegment) {
  const Shape shape{2, 2, 32, DType::kInt8};
  const CachedRows cache = ragged_cache(*ops_, shape, {40, 90}, random_);
  const Rows q = Rows::random(3, 2 * 32, random_);
  State both = attend(shape, q.view(), {100, 150, 200}, {{0, 3, cache.view()}});
  const ConstMatrix second{q.view().row(0) + 32, 3, 32, q.view().stride};
  State one = attend({1, 1, 32}, second, {100, 150, 200}, {{0, 3, cache.view().only(1)}});
  for (std::size_t t = 0; t < 3; ++t) {
    EXPECT_EQ(one.lse.row(t)[0], both.lse.row(t)[1]);
    EXPECT_EQ(one.out.row(t)[31], both.out.row(t)[63]);
  }
}

TEST_P(AttendTest, SegmentsAreChecked) {
  const Shape shape{2, 2, 32};
  const Rows q = Rows::random(1, 2 * 32, random_);
  const CachedRows cache = random_cache(*ops_, shape, 70, random_);
  const CachedRows ints = random_cache(*ops_, {2, 2, 32, DType::kInt8}, 70, random_);
  const auto refuses = [&](const SegmentView& segment) {
    const std::vector<AttendItem> items{{0, 1, segment}};
    EXPECT_THROW(attend(shape, q.view(), {70}, items), std::logic_error);
  };
  SegmentView view = cache.view(70);
  view.heads = {};
  refuses(view);
  const HeadRows different[] = {{0, 70}, {75, 60}};
  view.heads = different;
  refuses(view);  // they share positions
  view = cache.view(70);
  view.dtype = DType::kQ8_0;
  refuses(view);
  view = cache.view(70);
  view.head_dim = 16;
  refuses(view);
  refuses(ints.view(1, 50));  // not at a group
  refuses({});
}

TEST_P(AttendTest, SlidingWindowHidesOldKeys) {
  const Shape shape{4, 2, 32};
  for (const std::size_t window : {1, 2, 63, 64, 65, 100, 5000}) {
    expect_prefill(shape, 200, 40, window);
  }
  expect_prefill(shape, 1500, 3, 1030);
  expect_prefill(shape, 200, 40, std::numeric_limits<std::size_t>::max());
}

TEST_P(AttendTest, VisibilityFollowsPositionsNotRows) {
  const Shape shape{2, 1, 16};
  // A compacted segment: positions 10, 17, 24, ...; queries between, before and behind them.
  const CachedRows cache = random_cache(*ops_, shape, 100, random_, 10, 7);
  const std::vector<std::int32_t> positions{9, 10, 11, 16, 17, 400, 703, 100000, 3};
  const Rows q = Rows::random(positions.size(), 2 * 16, random_);
  const std::vector<AttendItem> items{{0, positions.size(), cache.view(100)}};
  for (const std::optional<std::size_t> window : {std::optional<std::size_t>{}, {20}, {7}}) {
    State got = attend(shape, q.view(), positions, items, window);
    expect_attention(got, direct_attention(shape, q.view(), positions, items, window), shape);
  }
}

TEST_P(AttendTest, NothingVisibleLeavesTheStateAsItWas) {
  const Shape shape{2, 1, 16};
  const CachedRows late = random_cache(*ops_, shape, 70, random_, 100);
  const CachedRows early = random_cache(*ops_, shape, 70, random_);
  const Rows q = Rows::random(2, 2 * 16, random_);
  State state = attend(shape, q.view(), {50, 99}, {{0, 2, late.view(70)}, {0, 2, late.view(0)}});
  for (std::size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(state.lse.row(t)[0], kNone);
    EXPECT_EQ(state.out.row(t)[5], 0.0F);
  }
  State seen = attend(shape, q.view(), {50, 99}, {{0, 2, early.view(70)}});
  State both = attend(shape, q.view(), {50, 99}, {{0, 2, early.view(70)}, {0, 2, late.view(70)}});
  EXPECT_TRUE(same_bits(both.out.view(), seen.out.view()));
  EXPECT_TRUE(same_bits(both.lse.view(), seen.lse.view()));
}

TEST_P(AttendTest, NoItemsAndNoRowsAreFine) {
  const Shape shape{2, 1, 16};
  const Rows q = Rows::random(1, 2 * 16, random_);
  EXPECT_EQ(attend(shape, q.view(), {5}, {}).lse.row(0)[0], kNone);
  const CachedRows cache = random_cache(*ops_, shape, 3, random_);
  const Rows none(0, 2 * 16);
  attend(shape, none.view(), {}, {{0, 0, cache.view(3)}});
}

TEST_P(AttendTest, AnySplitOfASegmentGivesTheWhole) {
  const Shape shape{4, 2, 64};
  const CachedRows cache = random_cache(*ops_, shape, 2300, random_);
  const Rows q = Rows::random(5, 4 * 64, random_);
  const auto positions = counting(2290, 5);
  const Direct want = direct_attention(shape, q.view(), positions, {{0, 5, cache.view(2300)}});
  for (const std::vector<std::size_t>& cuts :
       {std::vector<std::size_t>{1}, {64}, {1000}, {2299}, {7, 8, 1500}}) {
    std::vector<AttendItem> items;
    std::size_t begin = 0;
    for (const std::size_t cut : cuts) {
      items.push_back({0, 5, cache.view(begin, cut)});
      begin = cut;
    }
    items.push_back({0, 5, cache.view(begin, 2300)});
    State got = attend(shape, q.view(), positions, items);
    expect_attention(got, want, shape);
  }
}

TEST_P(AttendTest, ASplitAtARunBoundaryGivesTheSameBits) {
  const Shape shape{4, 2, 64};
  const CachedRows cache = random_cache(*ops_, shape, 2300, random_);
  const Rows q = Rows::random(5, 4 * 64, random_);
  const auto positions = counting(2290, 5);
  State whole = attend(shape, q.view(), positions, {{0, 5, cache.view(2300)}});
  State parts =
      attend(shape, q.view(), positions,
             {{0, 5, cache.view(0, kAttendRunRows)}, {0, 5, cache.view(kAttendRunRows, 2300)}});
  EXPECT_TRUE(same_bits(whole.out.view(), parts.out.view()));
  EXPECT_TRUE(same_bits(whole.lse.view(), parts.lse.view()));
}

TEST_P(AttendTest, ItemsMayShareRowsInAnyPattern) {
  const Shape shape{6, 3, 48};
  const CachedRows document = random_cache(*ops_, shape, 1100, random_);
  const CachedRows first = random_cache(*ops_, shape, 30, random_, 1100);
  const CachedRows second = random_cache(*ops_, shape, 90, random_, 1100);
  const std::vector<std::int32_t> positions{1101, 1102, 1110, 1111, 1112, 1189};
  const Rows q = Rows::random(positions.size(), 6 * 48, random_);
  const std::vector<AttendItem> items{
      {0, 6, document.view(1100)}, {0, 2, first.view(30)}, {2, 4, second.view(90)}};
  State got = attend(shape, q.view(), positions, items);
  expect_attention(got, direct_attention(shape, q.view(), positions, items), shape);
}

// Three partials over disjoint keys of one segment.
class MergeTest : public AttendTest {
 protected:
  Shape shape_{4, 2, 32};
  CachedRows cache_ = random_cache(*ops_, shape_, 300, random_);
  Rows q_ = Rows::random(6, 4 * 32, random_);
  std::vector<std::int32_t> positions_ = counting(294, 6);

  State part(std::size_t begin, std::size_t end) {
    return attend(shape_, q_.view(), positions_, {{0, 6, cache_.view(begin, end)}});
  }
  State merged(State a, State b) {
    ops_->merge(b.view(), a.view());
    return a;
  }
};

TEST_P(MergeTest, IsAssociativeAndCommutative) {
  const Direct want = direct_attention(shape_, q_.view(), positions_, {{0, 6, cache_.view(300)}});
  State left = merged(merged(part(0, 50), part(50, 180)), part(180, 300));
  State right = merged(part(0, 50), merged(part(50, 180), part(180, 300)));
  State turned = merged(part(180, 300), merged(part(50, 180), part(0, 50)));
  expect_attention(left, want, shape_);
  expect_attention(right, want, shape_);
  expect_attention(turned, want, shape_);
}

TEST_P(MergeTest, TheEmptyPartialIsItsUnit) {
  State some = part(0, 300);
  State left = merged(State(*ops_, 6, 4, 32), part(0, 300));
  State right = merged(part(0, 300), State(*ops_, 6, 4, 32));
  for (State* state : {&left, &right}) {
    EXPECT_TRUE(same_bits(state->out.view(), some.out.view()));
    EXPECT_TRUE(same_bits(state->lse.view(), some.lse.view()));
  }
  State empty = merged(State(*ops_, 6, 4, 32), State(*ops_, 6, 4, 32));
  EXPECT_EQ(empty.lse.row(0)[0], kNone);
  EXPECT_EQ(empty.out.row(0)[0], 0.0F);
}

TEST_P(MergeTest, DistantLogSumsDoNotOverflow) {
  State loud(*ops_, 1, 1, 2);
  State faint(*ops_, 1, 1, 2);
  loud.lse.row(0)[0] = 5000;
  faint.lse.row(0)[0] = -5000;
  loud.out.row(0)[0] = 3;
  faint.out.row(0)[0] = 7;
  ops_->merge(loud.view(), faint.view());
  EXPECT_EQ(faint.out.row(0)[0], 3.0F);
  EXPECT_EQ(faint.lse.row(0)[0], 5000.0F);
}

TEST_P(MergeTest, ClearForgets) {
  State state = part(0, 300);
  ops_->clear(state.view());
  EXPECT_EQ(state.lse.row(5)[3], kNone);
  EXPECT_EQ(state.out.row(5)[127], 0.0F);
}

const auto kName = [](const auto& info) { return test_name(info.param); };
INSTANTIATE_TEST_SUITE_P(Backends, AttendTest, testing::ValuesIn(all_backends()), kName);
INSTANTIATE_TEST_SUITE_P(Backends, MergeTest, testing::ValuesIn(all_backends()), kName);

}  // namespace
}  // namespace varve::test
