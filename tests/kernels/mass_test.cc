#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "tests/kernels/attend_fixture.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();

// One query head of one row.
struct Asker {
  const float* q;  // [D]
  double lse;
};

// What a key's element ought to be, and how far float32 arithmetic may be from it.
struct Sum {
  double value = 0;
  double error = 0;
};

// With Q = |scale q| |k|: a score is off by (D + 3) roundings of at most Q; lse, its conversion to
// powers of two and the difference add Q + 2 |lse|, the exponential 4. All of that shifts an
// exponent. A weight below the least exponent is lost, and n additions round the sum n times.
Sum direct_sum(const Shape& shape, const std::vector<Asker>& askers, const float* k, double first) {
  const double scale = shape.params().scale;
  Sum sum{first, 0};
  for (const Asker& asker : askers) {
    double dot = 0;
    for (std::size_t d = 0; d < shape.dim; ++d) dot += double{asker.q[d]} * k[d];
    const double weight = std::exp(dot * scale - asker.lse);
    const double most = scale * norm(asker.q, shape.dim) * norm(k, shape.dim);
    const double roundings =
        (static_cast<double>(shape.dim) + 4) * most + 2 * std::abs(asker.lse) + 4;
    sum.value += weight;
    sum.error += weight * std::expm1(kEps * roundings) + 0x1p-125;
  }
  sum.error += static_cast<double>(askers.size() + 1) * kEps * sum.value;
  return sum;
}

class MassTest : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Ops> ops_ = test_ops(GetParam(), 2);
  Random random_{31};

  static std::vector<std::int32_t> counting(std::int32_t first, std::size_t count) {
    std::vector<std::int32_t> positions(count);
    std::iota(positions.begin(), positions.end(), first);
    return positions;
  }

  Rows lse_of(const Shape& shape, ConstMatrix q, const std::vector<std::int32_t>& positions,
              const std::vector<AttendItem>& items, std::optional<std::size_t> window = {}) {
    State state(*ops_, q.rows, shape.q_heads, shape.dim);
    ops_->attend(q, positions, items, shape.params(window), state.view());
    return state.lse;
  }

  // What nobody cleared: elements in [0, 1).
  Rows some_mass(const AttendItem& item) {
    Rows mass = Rows::random(item.segment.kv_heads(), item.segment.most_rows(), random_, 3);
    for (std::size_t i = 0; i < mass.view().rows * mass.view().cols; ++i) {
      float& element = mass.row(i / mass.view().cols)[i % mass.view().cols];
      element = std::abs(element);
    }
    return mass;
  }

  // Adds to a mass that is there already, and compares with the definition in double.
  void expect_mass(const Shape& shape, ConstMatrix q, const std::vector<std::int32_t>& positions,
                   const AttendItem& item, ConstMatrix lse,
                   std::optional<std::size_t> window = {}) {
    const SegmentView& s = item.segment;
    Rows mass = some_mass(item);
    Rows want = mass;
    const std::size_t width = s.most_rows();
    std::vector<double> bounds(s.kv_heads() * width);
    const std::size_t group = shape.q_heads / shape.kv_heads;
    for (std::size_t kv_head = 0; kv_head < s.kv_heads(); ++kv_head) {
      const std::vector<float> keys = decode_keys(s, kv_head);
      const auto key_positions = s.positions_of(kv_head);
      for (std::size_t i = 0; i < s.rows(kv_head); ++i) {
        std::vector<Asker> askers;
        for (std::size_t n = 0; n < item.row_count * group; ++n) {
          const std::size_t t = item.row_begin + n / group;
          const std::size_t h = kv_head * group + n % group;
          if (!sees(positions[t], key_positions[i], window) || lse.row(t)[h] == kNone) continue;
          askers.push_back({q.row(t) + h * shape.dim, lse.row(t)[h]});
        }
        const Sum sum =
            direct_sum(shape, askers, keys.data() + i * shape.dim, mass.row(kv_head)[i]);
        want.row(kv_head)[i] = static_cast<float>(sum.value);
        bounds[kv_head * width + i] = askers.empty() ? 0 : sum.error;
      }
    }
    ops_->add_mass(q, positions, item, shape.params(window), lse, mass.view());
    EXPECT_TRUE(near(mass.view(), want.view(),
                     [&](std::size_t r, std::size_t c) { return bounds[r * width + c]; }));
    EXPECT_TRUE(mass.gaps_intact());
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
    const AttendItem item{0, rows, cache.view(keys)};
    const Rows lse = lse_of(shape, q.view(), positions, {item}, window);
    expect_mass(shape, q.view(), positions, item, lse.view(), window);
  }
};

TEST_P(MassTest, MatchesTheDefinitionForEveryHeadShape) {
  for (const auto& [q_heads, kv_heads] : {std::pair{9, 3}, {4, 2}, {1, 1}, {8, 1}}) {
    for (const std::size_t dim : {16, 20, 64, 80, 128, 256}) {
      const Shape shape{static_cast<std::size_t>(q_heads), static_cast<std::size_t>(kv_heads), dim};
      expect_prefill(shape, 130, 1);
      expect_prefill(shape, 75, 13);
    }
  }
  expect_prefill({9, 3, 32}, 300, 201);  // several blocks of queries
}

TEST_P(MassTest, MatchesTheDefinitionForEveryRowFormatAndLength) {
  for (const DType dtype : kCachedTypes) {
    const Shape shape{2, 1, 32, dtype};
    for (const std::size_t keys : {1, 2, 63, 64, 65, 255, 256, 257, 1024, 1025}) {
      expect_prefill(shape, keys, 1);
      expect_prefill(shape, keys, std::min<std::size_t>(keys, 50));
    }
  }
}

TEST_P(MassTest, HeadsMayHoldDifferentNumbersOfRows) {
  for (const DType dtype : kCachedTypes) {
    const Shape shape{6, 3, 64, dtype};
    const CachedRows cache = ragged_cache(*ops_, shape, {300, 0, 65}, random_, 10);
    const std::vector<std::int32_t> positions{9, 12, 100, 101, 400, 700};
    const Rows q = Rows::random(positions.size(), 6 * 64, random_);
    const AttendItem item{0, positions.size(), cache.view()};
    const Rows lse = lse_of(shape, q.view(), positions, {item});
    expect_mass(shape, q.view(), positions, item, lse.view());
  }
}

// The masses of query heads, added up by hand in the order of the law, are those of key heads; one
// query head for each key head leaves no choice.
TEST_P(MassTest, AMassOfEveryQueryHeadTakesThemApart) {
  for (const DType dtype : {DType::kF16, DType::kInt4}) {
    const Shape shape{6, 2, 32, dtype};
    const CachedRows cache = ragged_cache(*ops_, shape, {300, 70}, random_);
    Rows q = Rows::random(40, 6 * 32, random_);
    const auto positions = counting(560, 40);
    const AttendItem item{0, 40, cache.view()};
    Rows lse = lse_of(shape, q.view(), positions, {item});
    Rows apart(6, 303, 2);
    ops_->add_mass(q.view(), positions, item, shape.params(), lse.view(), apart.view());
    EXPECT_TRUE(apart.gaps_intact());
    for (std::size_t head = 0; head < 6; ++head) {
      const Shape one{1, 1, 32, dtype};
      const ConstMatrix queries{q.row(0) + head * 32, 40, 32, q.view().stride};
      const ConstMatrix its_lse{lse.row(0) + head, 40, 1, lse.view().stride};
      const AttendItem its_item{0, 40, item.segment.only(head / 3)};
      Rows alone(1, 303);
      ops_->add_mass(queries, positions, its_item, one.params(), its_lse, alone.view());
      EXPECT_TRUE(same_bits(apart.slice(head, 1), alone.view())) << head;
    }
  }
}

// The largest of what each row alone gives, whatever the mass was before.
TEST_P(MassTest, TheLargestWeightInsteadOfTheSum) {
  for (const DType dtype : {DType::kF32, DType::kInt8}) {
    const Shape shape{6, 2, 32, dtype};
    const CachedRows cache = ragged_cache(*ops_, shape, {300, 70}, random_);
    Rows q = Rows::random(20, 6 * 32, random_);
    const auto positions = counting(560, 20);
    const AttendItem item{0, 20, cache.view()};
    Rows lse = lse_of(shape, q.view(), positions, {item});
    for (const std::size_t rows : {std::size_t{2}, std::size_t{6}}) {
      Rows largest(rows, 303, 2);
      Rows expected(rows, 303);
      for (std::size_t h = 0; h < rows; ++h) largest.row(h)[5] = expected.row(h)[5] = 0.25F;
      AttendParams params = shape.params();
      for (std::size_t t = 0; t < 20; ++t) {
        Rows alone(6, 303);
        ops_->add_mass(q.view(), positions, {t, 1, item.segment}, params, lse.view(), alone.view());
        for (std::size_t h = 0; h < 6; ++h) {
          float* to = expected.row(h * rows / 6);
          for (std::size_t i = 0; i < 303; ++i) to[i] = std::max(to[i], alone.row(h)[i]);
        }
      }
      params.mass = MassFold::kMax;
      ops_->add_mass(q.view(), positions, item, params, lse.view(), largest.view());
      EXPECT_TRUE(largest.gaps_intact());
      EXPECT_TRUE(same_bits(largest.view(), expected.view())) << rows;
    }
  }
}

TEST_P(MassTest, SlidingWindowHidesOldKeys) {
  const Shape shape{4, 2, 32};
  for (const std::size_t window : {1, 2, 63, 64, 65, 100, 5000}) {
    expect_prefill(shape, 200, 40, window);
  }
  expect_prefill(shape, 1500, 3, 1030);
  expect_prefill(shape, 200, 40, std::numeric_limits<std::size_t>::max());
}

// Some rows see no key, some keys are seen by no row: expect_mass demands that these keep their
// bits.
TEST_P(MassTest, VisibilityFollowsPositionsNotRows) {
  const Shape shape{2, 1, 16};
  const CachedRows cache = random_cache(*ops_, shape, 100, random_, 10, 7);
  const std::vector<std::int32_t> positions{9, 10, 11, 16, 17, 400, 503, 3};
  const Rows q = Rows::random(positions.size(), 2 * 16, random_);
  const AttendItem item{0, positions.size(), cache.view(100)};
  for (const std::optional<std::size_t> window : {std::optional<std::size_t>{}, {20}, {7}}) {
    const Rows lse = lse_of(shape, q.view(), positions, {item}, window);
    EXPECT_EQ(lse.view().row(0)[0], kNone);
    expect_mass(shape, q.view(), positions, item, lse.view(), window);
  }
}

TEST_P(MassTest, AHeadWithoutAnLseAddsNothing) {
  const Shape shape{3, 1, 16};
  const CachedRows cache = random_cache(*ops_, shape, 70, random_);
  const Rows q = Rows::random(6, 3 * 16, random_);
  const auto positions = counting(64, 6);
  const AttendItem item{0, 6, cache.view(70)};
  Rows lse = lse_of(shape, q.view(), positions, {item});
  lse.row(0)[1] = lse.row(3)[0] = lse.row(5)[2] = kNone;
  expect_mass(shape, q.view(), positions, item, lse.view());
  for (std::size_t t = 0; t < 6; ++t) std::fill_n(lse.row(t), 3, kNone);
  Rows mass = some_mass(item);
  const Rows before = mass;
  ops_->add_mass(q.view(), positions, item, shape.params(), lse.view(), mass.view());
  EXPECT_TRUE(same_bits(mass.view(), before.view()));
}

TEST_P(MassTest, NothingVisibleLeavesTheMassAsItWas) {
  const Shape shape{4, 2, 16};
  const CachedRows late = random_cache(*ops_, shape, 70, random_, 100);
  const Rows q = Rows::random(2, 4 * 16, random_);
  Rows lse = Rows::random(2, 4, random_);  // of other segments
  const AttendItem item{0, 2, late.view(70)};
  Rows mass = some_mass(item);
  const Rows before = mass;
  const std::vector<std::int32_t> positions{50, 99};
  ops_->add_mass(q.view(), positions, item, shape.params(), lse.view(), mass.view());
  EXPECT_TRUE(same_bits(mass.view(), before.view()));
}

TEST_P(MassTest, RowsOutsideTheItemDoNotMatter) {
  const Shape shape{6, 2, 20};
  const CachedRows cache = random_cache(*ops_, shape, 150, random_);
  Rows q = Rows::random(9, 6 * 20, random_);
  const auto positions = counting(141, 9);
  const AttendItem item{2, 3, cache.view(150)};
  Rows lse = lse_of(shape, q.view(), positions, {item});
  for (const std::size_t t : {0, 1, 5, 6, 7, 8}) {
    std::fill_n(q.row(t), 6 * 20, std::numeric_limits<float>::quiet_NaN());
    std::fill_n(lse.row(t), 6, std::numeric_limits<float>::quiet_NaN());
  }
  expect_mass(shape, q.view(), positions, item, lse.view());
}

TEST_P(MassTest, NoRowsAndNoKeysAreFine) {
  const Shape shape{2, 1, 16};
  const CachedRows cache = random_cache(*ops_, shape, 3, random_);
  const Rows q = Rows::random(1, 2 * 16, random_);
  const Rows none(0, 2 * 16);
  const Rows lse = Rows::random(1, 2, random_);
  expect_mass(shape, none.view(), {}, {0, 0, cache.view(3)}, Rows(0, 2).view());
  expect_mass(shape, q.view(), {5}, {1, 0, cache.view(3)}, lse.view());
  expect_mass(shape, q.view(), {5}, {0, 1, cache.view(0)}, lse.view());
}

// A softmax sums to one, so one row gives its key heads what they have query heads.
TEST_P(MassTest, TheMassOfARowOverAllSegmentsIsItsHeads) {
  for (const DType dtype : kRowTypes) {  // a part of integer rows would begin inside a group
    const Shape shape{6, 2, 80, dtype};
    const CachedRows document = random_cache(*ops_, shape, 1300, random_);
    const CachedRows answer = random_cache(*ops_, shape, 77, random_, 1300);
    const Rows q = Rows::random(1, 6 * 80, random_);
    const std::vector<AttendItem> items{
        {0, 1, document.view(1100)}, {0, 1, document.view(1100, 1300)}, {0, 1, answer.view(77)}};
    const std::vector<std::int32_t> positions{1360};
    const Rows lse = lse_of(shape, q.view(), positions, items);
    const Direct direct = direct_attention(shape, q.view(), positions, items);
    std::vector<double> totals(2);
    for (const AttendItem& item : items) {
      Rows mass(2, item.segment.most_rows());
      ops_->add_mass(q.view(), positions, item, shape.params(), lse.view(), mass.view());
      for (std::size_t h = 0; h < 2; ++h) {
        for (std::size_t i = 0; i < item.segment.most_rows(); ++i) totals[h] += mass.row(h)[i];
      }
    }
    for (std::size_t h = 0; h < 2; ++h) {
      double bound = 0;
      for (std::size_t head = 3 * h; head < 3 * h + 3; ++head) {
        const double weighing =
            (80 + 4) * direct.scores[head] + 2 * std::abs(lse.view().row(0)[head]) + 4;
        bound += lse_error(direct, shape, 0, head, *ops_) + kEps * (weighing + 3);
      }
      EXPECT_NEAR(totals[h], 3.0, bound) << dtype_info(dtype).name << ", key head " << h;
    }
  }
}

TEST_P(MassTest, ShapesAreChecked) {
  const Shape shape{4, 2, 16};
  const CachedRows cache = random_cache(*ops_, shape, 8, random_);
  const Rows q = Rows::random(2, 4 * 16, random_);
  const std::vector<std::int32_t> positions{8, 9};
  const auto refuses = [&](const AttendItem& item, Rows lse, Rows mass) {
    EXPECT_THROW(ops_->add_mass(q.view(), positions, item, shape.params(), lse.view(), mass.view()),
                 std::logic_error);
  };
  refuses({0, 2, cache.view(8)}, Rows(1, 4), Rows(2, 8));
  refuses({0, 2, cache.view(8)}, Rows(2, 2), Rows(2, 8));
  refuses({0, 2, cache.view(8)}, Rows(2, 4), Rows(3, 8));
  refuses({0, 2, cache.view(8)}, Rows(2, 4), Rows(2, 7));
  refuses({1, 2, cache.view(8)}, Rows(2, 4), Rows(2, 8));
}

const auto kName = [](const auto& info) { return test_name(info.param); };
INSTANTIATE_TEST_SUITE_P(Backends, MassTest, testing::ValuesIn(all_backends()), kName);

}  // namespace
}  // namespace varve::test
