// Verbs that move, decode and rotate cached rows of the float formats, and append with positions
// per head.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "tests/kernels/attend_fixture.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

class CachedRowsTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = test_ops(GetParam(), 2);
  Random random_{41};

  /// Rows of one head as they are stored: `bytes` for each.
  static std::vector<std::uint8_t> stored(const SegmentView& s, const void* base, std::size_t head,
                                          std::size_t begin, std::size_t count) {
    const std::size_t bytes = row_bytes(s.dtype, s.head_dim);
    const auto* at = static_cast<const std::uint8_t*>(base) + (s.heads[head].begin + begin) * bytes;
    return {at, at + count * bytes};
  }

  static void expect_row(const SegmentView& got, std::size_t row, const SegmentView& want,
                         std::size_t from, std::size_t head) {
    EXPECT_EQ(stored(got, got.keys, head, row, 1), stored(want, want.keys, head, from, 1)) << row;
    EXPECT_EQ(stored(got, got.values, head, row, 1), stored(want, want.values, head, from, 1));
  }
};

TEST_P(CachedRowsTest, GatherCopiesTheRowsAskedFor) {
  const std::vector<std::uint32_t> rows{0, 2, 3, 4, 9, 10, 69};
  for (const DType dtype : kRowTypes) {
    const Shape shape{2, 2, 20, dtype};
    const CachedRows from = random_cache(*ops_, shape, 70, random_, 100, 3);
    for (const std::size_t head : {0, 1}) {
      CachedRows into(dtype, 20, {12, 11});
      const std::vector<std::uint8_t> other = into.keys();
      ops_->gather_rows(from.view(70), head, rows, into.store(), 3);
      const SegmentView got = into.view();
      for (std::size_t i = 0; i < rows.size(); ++i) {
        expect_row(got, 3 + i, from.view(70), rows[i], head);
        EXPECT_EQ(got.positions_of(head)[3 + i], 100 + 3 * static_cast<std::int32_t>(rows[i]));
      }
      EXPECT_EQ(got.positions_of(head)[2], -1) << "wrote before its rows";
      EXPECT_EQ(got.positions_of(head)[10], -1) << "wrote behind its rows";
      EXPECT_EQ(stored(got, got.values, head, 10, 1),
                std::vector(row_bytes(dtype, 20), uint8_t{255}));
      EXPECT_EQ(stored(got, got.keys, 1 - head, 0, 11),
                std::vector(11 * row_bytes(dtype, 20), std::uint8_t{255}));
    }
  }
}

TEST_P(CachedRowsTest, GatherLeavesSharedPositionsAlone) {
  const Shape shape{2, 2, 16};
  const CachedRows from = random_cache(*ops_, shape, 9, random_);
  CachedRows into(DType::kF16, 2, 16, 9);
  ops_->gather_rows(from.view(9), 1, std::vector<std::uint32_t>{1, 8}, into.store(), 0);
  EXPECT_EQ(into.positions(), std::vector<std::int32_t>(9, -1));
  expect_row(into.view(2), 1, from.view(9), 8, 1);
}

TEST_P(CachedRowsTest, GatherCompactsInPlace) {
  const Shape shape{2, 2, 24, DType::kBF16};
  const CachedRows before = ragged_cache(*ops_, shape, {40, 90}, random_);
  for (const std::vector<std::uint32_t>& rows :
       {std::vector<std::uint32_t>{5, 6, 7, 8, 20}, {0, 1, 2}, {0, 1, 3, 4, 38, 39}, {39}, {}}) {
    CachedRows cache = before;
    for (const std::size_t head : {0, 1}) {
      ops_->gather_rows(cache.view(), head, rows, cache.store(), 0);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        expect_row(cache.view(), i, before.view(), rows[i], head);
        EXPECT_EQ(cache.view().positions_of(head)[i], before.view().positions_of(head)[rows[i]]);
      }
    }
  }
}

TEST_P(CachedRowsTest, GatherIsChecked) {
  const Shape shape{2, 2, 16};
  const CachedRows from = random_cache(*ops_, shape, 9, random_);
  CachedRows into(DType::kF16, 2, 16, 4);
  const auto refuses = [&](const SegmentView& view, std::size_t head,
                           const std::vector<std::uint32_t>& rows, const SegmentStore& store,
                           std::size_t at) {
    EXPECT_THROW(ops_->gather_rows(view, head, rows, store, at), std::logic_error);
  };
  refuses(from.view(9), 2, {1}, into.store(), 0);
  refuses(from.view(9), 0, {1, 9}, into.store(), 0);
  refuses(from.view(9), 0, {3, 3}, into.store(), 0);
  refuses(from.view(9), 0, {3, 2}, into.store(), 0);
  refuses(from.view(9), 0, {1, 2}, into.store(), 3);
  CachedRows other(DType::kBF16, 2, 16, 4);
  refuses(from.view(9), 0, {1}, other.store(), 0);
  CachedRows wider(DType::kF16, 2, 32, 4);
  refuses(from.view(9), 0, {1}, wider.store(), 0);
  refuses(into.view(), 0, {1, 2}, into.store(), 2);  // upwards in place
}

TEST_P(CachedRowsTest, AppendWritesPositionsOfEveryHead) {
  CachedRows cache(DType::kF32, 19, {6, 5, 9});
  const Rows k = Rows::random(2, 3 * 19, random_, 1);
  const Rows v = Rows::random(2, 3 * 19, random_, 2);
  const std::vector<std::int32_t> positions{70, 75};
  ops_->append_rows(k.view(), v.view(), positions, cache.store(), 3);
  const SegmentView view = cache.view();
  for (std::size_t head = 0; head < 3; ++head) {
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(view.positions_of(head)[3 + i], positions[i]);
      EXPECT_EQ(decode_keys(view, head)[(3 + i) * 19 + 7], k.view().row(i)[head * 19 + 7]);
      EXPECT_EQ(decode_values(view, head)[(3 + i) * 19 + 18], v.view().row(i)[head * 19 + 18]);
    }
    EXPECT_EQ(view.positions_of(head)[2], -1);
  }
  EXPECT_THROW(ops_->append_rows(k.view(), v.view(), positions, cache.store(), 4), std::logic_error)
      << "the second head has five rows";
  CachedRows ints(DType::kInt8, 3, 32, 5);
  const Rows wide = Rows::random(1, 3 * 32, random_);
  EXPECT_THROW(ops_->append_rows(wide.view(), wide.view(), {positions.data(), 1}, ints.store(), 0),
               std::logic_error);
}

TEST_P(CachedRowsTest, DecodeGivesEveryFormatAsFloats) {
  for (const DType dtype : kCachedTypes) {
    for (const std::size_t dim : {32, 64, 96, 128}) {
      const Shape shape{3, 3, dim, dtype};
      const CachedRows cache = ragged_cache(*ops_, shape, {70, 0, 131}, random_);
      const SegmentView view = cache.view();
      for (const std::size_t head : {0, 2}) {
        const std::vector<float> keys = decode_keys(view, head);
        const std::vector<float> values = decode_values(view, head);
        for (const auto& [begin, end] :
             {std::pair<std::size_t, std::size_t>{0, 70}, {1, 33}, {31, 65}, {64, 64}, {69, 70}}) {
          const std::size_t count = end - begin;
          Rows k(count, dim, 3);
          Rows v(count, dim, 5);
          ops_->decode_rows(view, head, begin, k.view(), v.view());
          const float* want_k = keys.data() + begin * dim;
          const float* want_v = values.data() + begin * dim;
          EXPECT_TRUE(same_bits(k.view(), {want_k, count, dim, dim}))
              << dtype_info(dtype).name << " [" << begin << ", " << end << ")";
          EXPECT_TRUE(same_bits(v.view(), {want_v, count, dim, dim}));
          EXPECT_TRUE(k.gaps_intact() && v.gaps_intact());
        }
      }
    }
  }
}

TEST_P(CachedRowsTest, DecodeTakesEitherSideAlone) {
  const Shape shape{1, 1, 19};
  const CachedRows cache = random_cache(*ops_, shape, 9, random_);
  Rows k(4, 19);
  Rows v(2, 19);
  ops_->decode_rows(cache.view(9), 0, 5, k.view(), {});
  EXPECT_EQ(k.row(3)[18], decode_keys(cache.view(9), 0)[8 * 19 + 18]);
  ops_->decode_rows(cache.view(9), 0, 7, {}, v.view());
  EXPECT_EQ(v.row(1)[18], decode_values(cache.view(9), 0)[8 * 19 + 18]);
  const auto refuses = [&](std::size_t head, std::size_t begin, std::size_t rows,
                           std::size_t cols) {
    Rows out(rows, cols);
    EXPECT_THROW(ops_->decode_rows(cache.view(9), head, begin, out.view(), {}), std::logic_error);
    EXPECT_THROW(ops_->decode_rows(cache.view(9), head, begin, {}, out.view()), std::logic_error);
  };
  refuses(1, 0, 1, 19);
  refuses(0, 6, 4, 19);
  refuses(0, 0, 1, 18);
}

// Half a unit in the last place of what a format rounds `value` to.
double rounding(DType dtype, double value) {
  if (dtype == DType::kF32) return kEps * value;
  return std::max(value * (dtype == DType::kF16 ? 0x1p-11 : 0x1p-8), 0x1p-25);
}

TEST_P(CachedRowsTest, RopeTurnsEachKeyByItsRow) {
  const std::size_t dim = 40;
  const std::size_t rotated = 24;
  for (const DType dtype : kRowTypes) {
    for (const RopeLayout layout : {RopeLayout::kHalves, RopeLayout::kInterleaved}) {
      const Shape shape{3, 3, dim, dtype};
      const CachedRows cache = ragged_cache(*ops_, shape, {70, 0, 33}, random_);
      const Rows angles = Rows::random(71, rotated, random_, 2);
      CachedRows into(dtype, dim, {70, 0, 33});
      ops_->rope_keys(cache.view(), angles.view(), layout, into.store());
      for (const std::size_t head : {0, 2}) {
        Rows want(cache.view().rows(head), dim);
        const std::vector<float> keys = decode_keys(cache.view(), head);
        std::copy(keys.begin(), keys.end(), want.row(0));
        // The same arithmetic as for rows that were never cached.
        const ConstMatrix turns{angles.view().row(0), want.view().rows, rotated,
                                angles.view().stride};
        ops_->rope(want.view(), turns, dim, layout);
        std::vector<float> got = decode_keys(into.view(), head);
        EXPECT_TRUE(near({got.data(), want.view().rows, dim, dim}, want.view(),
                         [&](std::size_t r, std::size_t c) {
                           return rounding(dtype, std::abs(double{want.row(r)[c]}));
                         }))
            << dtype_info(dtype).name;
      }
      EXPECT_EQ(into.values(), std::vector<std::uint8_t>(into.values().size(), 255));
      EXPECT_EQ(into.positions(), std::vector<std::int32_t>(103, -1));
      const CachedRows before = cache;
      CachedRows self = cache;
      ops_->rope_keys(self.view(), angles.view(), layout, self.store());
      EXPECT_EQ(self.keys(), into.keys()) << "in place";
      EXPECT_EQ(self.values(), before.values());
    }
  }
}

TEST_P(CachedRowsTest, RopeKeysIsChecked) {
  const Shape shape{2, 2, 16};
  const CachedRows from = random_cache(*ops_, shape, 9, random_);
  CachedRows into(DType::kF16, 2, 16, 9);
  CachedRows longer(DType::kF16, 2, 16, 10);
  CachedRows other(DType::kBF16, 2, 16, 9);
  const auto refuses = [&](const Rows& angles, const SegmentStore& store) {
    EXPECT_THROW(ops_->rope_keys(from.view(9), angles.view(), RopeLayout::kHalves, store),
                 std::logic_error);
  };
  refuses(Rows(8, 16), into.store());
  refuses(Rows(9, 15), into.store());
  refuses(Rows(9, 18), into.store());
  refuses(Rows(10, 16), longer.store());
  refuses(Rows(9, 16), other.store());
}

INSTANTIATE_TEST_SUITE_P(Backends, CachedRowsTest, testing::ValuesIn(all_backends()),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace varve::test
