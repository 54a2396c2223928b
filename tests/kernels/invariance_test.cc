// The law of ops.h: what a verb writes for a row depends, bit for bit, on that row's inputs alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/kernels/attend_fixture.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

class InvarianceTest : public testing::TestWithParam<std::string> {
 protected:
  Random random_{29};

  // The same backend with one, two and three threads.
  std::vector<std::unique_ptr<Ops>> teams() const {
    std::vector<std::unique_ptr<Ops>> ops;
    for (const std::size_t threads : {1, 2, 3}) ops.push_back(test_ops(GetParam(), threads));
    return ops;
  }
};

// Calls verb(begin, count) so that every row is covered: all at once, in chunks, one by one.
constexpr std::size_t kChunks[] = {1000, 33, 17, 9, 8, 7, 5, 4, 3, 2, 1};

template <class Verb>
void in_chunks(std::size_t rows, std::size_t chunk, const Verb& verb) {
  for (std::size_t at = 0; at < rows; at += chunk) verb(at, std::min(chunk, rows - at));
}

constexpr Products kProducts[] = {Products::kFloat, Products::kSplit};

TEST_P(InvarianceTest, Linear) {
  const std::size_t rows = 45;
  const std::size_t outputs = 45;
  for (const DType dtype : kAllTypes) {
    const std::size_t cols = dtype_info(dtype).block_size == 1 ? 555 : 768;
    const StoredWeight stored(dtype, outputs, cols, random_);
    std::vector<float> bias(outputs);
    for (float& value : bias) value = random_.real();
    Rows x = Rows::random(rows, cols, random_);
    for (const Products products : kProducts) {
      Rows want(rows, outputs);
      const auto single = test_ops(GetParam(), 1);
      const Weight b1 = vector_weight(*single, bias);
      single->linear(x.view(), {single->prepare(stored.view()), want.view(), &b1}, products);
      for (const auto& ops : teams()) {
        const Weight w = ops->prepare(stored.view());
        const Weight b = vector_weight(*ops, bias);
        for (const std::size_t chunk : kChunks) {
          Rows y(rows, outputs);
          in_chunks(rows, chunk, [&](std::size_t at, std::size_t count) {
            ops->linear(x.slice(at, count), {w, y.slice(at, count), &b}, products);
          });
          EXPECT_TRUE(same_bits(y.view(), want.view()))
              << dtype_info(dtype).name << " in chunks of " << chunk
              << (products == Products::kSplit ? ", split" : "");
        }
      }
    }
  }
}

TEST_P(InvarianceTest, RowsOfElementwiseVerbs) {
  const std::size_t rows = 80;
  const std::size_t cols = 480;
  std::vector<float> gain(cols);
  for (float& value : gain) value = random_.real();
  Rows x = Rows::random(rows, cols, random_);
  Rows up = Rows::random(rows, cols, random_);
  Rows angles = Rows::random(rows, 32, random_);
  // Every verb in a row, so that one comparison covers them all.
  const auto apply = [&](Ops& ops, std::size_t chunk) {
    Rows y(rows, cols);
    in_chunks(rows, chunk, [&](std::size_t at, std::size_t count) {
      const Matrix part = y.slice(at, count);
      ops.rms_norm(x.slice(at, count), vector_weight(ops, gain), 1e-6, part);
      ops.rope(part, angles.slice(at, count), 48, RopeLayout::kInterleaved);
      ops.rope(part, angles.slice(at, count), 48, RopeLayout::kHalves);
      ops.silu_mul(part, up.slice(at, count), part);
      ops.add(x.slice(at, count), part);
    });
    return y;
  };
  const Rows want = apply(*test_ops(GetParam(), 1), rows);
  for (const auto& ops : teams()) {
    for (const std::size_t chunk : kChunks) {
      const Rows got = apply(*ops, chunk);
      EXPECT_TRUE(same_bits(got.view(), want.view()));
    }
  }
}

TEST_P(InvarianceTest, Summaries) {
  Rows x = Rows::random(6, 10000, random_);
  std::vector<RowSummary> want(6);
  test_ops(GetParam(), 1)->summarize(x.view(), want);
  for (const auto& ops : teams()) {
    for (std::size_t t = 0; t < x.view().rows; ++t) {
      RowSummary got;
      ops->summarize(x.slice(t, 1), {&got, 1});
      EXPECT_EQ(got.top, want[t].top);
      EXPECT_EQ(got.log_sum, want[t].log_sum);
    }
  }
}

// Weights that share an input, in one call and one by one.
TEST_P(InvarianceTest, LinearOfSeveralWeights) {
  const std::size_t cols = 96;
  const StoredWeight a(DType::kQ4_1, 70, cols, random_);
  const StoredWeight b(DType::kF16, 1, cols, random_);
  const StoredWeight c(DType::kQ8_0, 33, cols, random_);
  for (const auto& ops : teams()) {
    const Weight wa = ops->prepare(a.view());
    const Weight wb = ops->prepare(b.view());
    const Weight wc = ops->prepare(c.view());
    for (const std::size_t rows : {1, 3, 8, 30, 600}) {
      Rows x = Rows::random(rows, cols, random_);
      Rows alone[] = {{rows, 70}, {rows, 1}, {rows, 33}};
      Rows joint[] = {{rows, 70}, {rows, 1}, {rows, 33}};
      for (const Products products : kProducts) {
        ops->linear(x.view(), {wa, alone[0].view()}, products);
        ops->linear(x.view(), {wb, alone[1].view()}, products);
        ops->linear(x.view(), {wc, alone[2].view()}, products);
        ops->linear(x.view(),
                    std::array{Projection{wa, joint[0].view()}, Projection{wb, joint[1].view()},
                               Projection{wc, joint[2].view()}},
                    products);
        for (std::size_t i = 0; i < 3; ++i) {
          EXPECT_TRUE(same_bits(joint[i].view(), alone[i].view())) << rows << " rows, " << i;
        }
      }
    }
  }
}

// A document that all rows read, and an answer segment for each of three askers.
class Questions {
 public:
  Questions(const Shape& shape, Ops& ops, Random& random)
      : shape_(shape), document_(random_cache(ops, shape, kDocument, random)) {
    for (std::size_t asker = 0; asker < kAskers; ++asker) {
      answers_.push_back(
          random_cache(ops, shape, kAnswer, random, static_cast<std::int32_t>(kDocument)));
    }
    // Row r belongs to asker r % 3.
    for (std::size_t r = 0; r < kRows; ++r) {
      positions_.push_back(static_cast<std::int32_t>(kDocument + 5 + r / kAskers));
    }
    q_ = Rows::random(kRows, shape.q_heads * shape.dim, random);
  }

  static constexpr std::size_t kRows = 110;

  /// Rows in the order given, `shared`: the document as one item for all of them, else per row.
  State ask(Ops& ops, const std::vector<std::size_t>& order, bool shared,
            std::optional<std::size_t> window) {
    const std::size_t width = shape_.q_heads * shape_.dim;
    Rows q(order.size(), width);
    std::vector<std::int32_t> positions;
    std::vector<AttendItem> items;
    if (shared) items.push_back({0, order.size(), document_.view(kDocument)});
    for (std::size_t i = 0; i < order.size(); ++i) {
      std::copy_n(q_.row(order[i]), width, q.row(i));
      positions.push_back(positions_[order[i]]);
      if (!shared) items.push_back({i, 1, document_.view(kDocument)});
      items.push_back({i, 1, answers_[order[i] % kAskers].view(kAnswer)});
    }
    State state(ops, order.size(), shape_.q_heads, shape_.dim);
    ops.attend(q.view(), positions, items, shape_.params(window), state.view());
    return state;
  }

 private:
  static constexpr std::size_t kDocument = 1090;
  static constexpr std::size_t kAskers = 3;
  static constexpr std::size_t kAnswer = 70;

  Shape shape_;
  CachedRows document_;
  std::vector<CachedRows> answers_;
  std::vector<std::int32_t> positions_;
  Rows q_{0, 0};
};

class AttendInvarianceTest : public InvarianceTest {
 protected:
  void expect_invariant(const Shape& shape, std::optional<std::size_t> window) {
    const auto first = test_ops(GetParam(), 1);
    Questions questions(shape, *first, random_);
    std::vector<std::size_t> all(Questions::kRows);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    State want = questions.ask(*first, all, true, window);
    std::reverse(all.begin(), all.end());
    for (const auto& ops : teams()) {
      for (const std::size_t chunk : {110, 40, 7, 1}) {
        for (const bool shared : {true, false}) {
          in_chunks(all.size(), chunk, [&](std::size_t at, std::size_t count) {
            // A tenth of the small batches is enough.
            if (chunk < 10 && at / chunk % 10 != 0) return;
            const std::vector<std::size_t> order(all.data() + at, all.data() + at + count);
            State got = questions.ask(*ops, order, shared, window);
            expect_rows(got, order, want);
          });
        }
      }
    }
  }

 private:
  static void expect_rows(State& got, const std::vector<std::size_t>& order, State& want) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      ASSERT_TRUE(same_bits(got.out.slice(i, 1), want.out.slice(order[i], 1)))
          << "row " << order[i] << " in a batch of " << order.size();
      ASSERT_TRUE(same_bits(got.lse.slice(i, 1), want.lse.slice(order[i], 1)));
    }
  }
};

TEST_P(AttendInvarianceTest, ThreeQueryHeadsPerKeyHead) {
  expect_invariant({3, 1, 32}, {});
}
TEST_P(AttendInvarianceTest, TwoKeyHeadsAndBfloat16) {
  expect_invariant({2, 2, 24, DType::kBF16}, {});
}
TEST_P(AttendInvarianceTest, ThreeQueryHeadsAndInt8) {
  expect_invariant({3, 1, 32, DType::kInt8}, {});
}
TEST_P(AttendInvarianceTest, TwoKeyHeadsAndInt4) {
  expect_invariant({2, 2, 32, DType::kInt4}, {});
}
TEST_P(AttendInvarianceTest, Int2AndASlidingWindow) {
  expect_invariant({4, 1, 32, DType::kInt2}, 100);
}
TEST_P(AttendInvarianceTest, SlidingWindow) {
  expect_invariant({2, 1, 16, DType::kF32}, 100);
}

TEST_P(AttendInvarianceTest, HeadsWithDifferentNumbersOfRows) {
  for (const DType dtype : {DType::kF16, DType::kInt4}) {
    const Shape shape{6, 3, 32, dtype};
    const CachedRows cache = ragged_cache(*test_ops(GetParam(), 1), shape, {1300, 0, 70}, random_);
    const std::size_t rows = 110;
    Rows q = Rows::random(rows, 6 * 32, random_);
    std::vector<std::int32_t> positions(rows);
    for (std::size_t t = 0; t < rows; ++t) positions[t] = static_cast<std::int32_t>(23 * t);
    const auto ask = [&](Ops& ops, std::size_t chunk) {
      State state(ops, rows, 6, 32);
      in_chunks(rows, chunk, [&](std::size_t at, std::size_t count) {
        const AttendItem item{0, count, cache.view()};
        ops.attend(q.slice(at, count), std::span(positions).subspan(at, count), {&item, 1},
                   shape.params(), state.slice(at, count));
      });
      return state;
    };
    State want = ask(*test_ops(GetParam(), 1), rows);
    for (const auto& ops : teams()) {
      for (const std::size_t chunk : {110, 40, 7, 1}) {
        State got = ask(*ops, chunk);
        EXPECT_TRUE(same_bits(got.out.view(), want.out.view())) << "in chunks of " << chunk;
        EXPECT_TRUE(same_bits(got.lse.view(), want.lse.view()));
      }
    }
  }
}

// What keys receive from the rows of a document, in one call and chunk by chunk.
class MassInvarianceTest : public InvarianceTest {
 protected:
  static constexpr std::size_t kKeys = 600;
  static constexpr std::size_t kRows = 110;

  void expect_invariant(const Shape& shape, std::optional<std::size_t> window) {
    const auto first = test_ops(GetParam(), 1);
    const CachedRows cache = random_cache(*first, shape, kKeys, random_);
    const Rows q = Rows::random(kRows, shape.q_heads * shape.dim, random_);
    std::vector<std::int32_t> positions(kRows);
    for (std::size_t t = 0; t < kRows; ++t) positions[t] = static_cast<std::int32_t>(5 * t);
    const AttendItem all{0, kRows, cache.view(kKeys)};
    State state(*first, kRows, shape.q_heads, shape.dim);
    first->attend(q.view(), positions, {&all, 1}, shape.params(window), state.view());
    const Scene scene{q.view(), positions, all.segment, shape.params(window), state.lse.view()};
    const Rows want = add(*first, scene, kRows, false);
    for (const auto& ops : teams()) {
      for (const std::size_t chunk : {110, 40, 7, 2, 1}) {
        for (const bool sliced : {true, false}) {
          const Rows got = add(*ops, scene, chunk, sliced);
          EXPECT_TRUE(same_bits(got.view(), want.view())) << "in chunks of " << chunk;
        }
      }
    }
  }

 private:
  struct Scene {
    ConstMatrix q;
    std::span<const std::int32_t> positions;
    SegmentView segment;
    AttendParams params;
    ConstMatrix lse;
  };

  /// Chunks are items of one step, or (`sliced`) steps of their own.
  static Rows add(Ops& ops, const Scene& scene, std::size_t chunk, bool sliced) {
    Rows mass(scene.segment.kv_heads(), kKeys);
    in_chunks(kRows, chunk, [&](std::size_t at, std::size_t count) {
      const std::size_t begin = sliced ? at : 0;
      const std::size_t rows = sliced ? count : kRows;
      ops.add_mass({scene.q.row(begin), rows, scene.q.cols, scene.q.stride},
                   scene.positions.subspan(begin, rows), {at - begin, count, scene.segment},
                   scene.params, {scene.lse.row(begin), rows, scene.lse.cols, scene.lse.stride},
                   mass.view());
    });
    return mass;
  }
};

TEST_P(MassInvarianceTest, ThreeQueryHeadsPerKeyHead) {
  expect_invariant({3, 1, 32}, {});
}
TEST_P(MassInvarianceTest, TwoKeyHeadsAndBfloat16) {
  expect_invariant({2, 2, 24, DType::kBF16}, {});
}
TEST_P(MassInvarianceTest, TwoKeyHeadsAndInt8) {
  expect_invariant({2, 2, 32, DType::kInt8}, {});
}
TEST_P(MassInvarianceTest, Int4AndASlidingWindow) {
  expect_invariant({3, 1, 32, DType::kInt4}, 100);
}
TEST_P(MassInvarianceTest, Int2AndASlidingWindow) {
  expect_invariant({4, 1, 32, DType::kInt2}, 100);
}
TEST_P(MassInvarianceTest, SlidingWindow) {
  expect_invariant({2, 1, 64, DType::kF32}, 100);
}

const auto kName = [](const auto& info) { return test_name(info.param); };
INSTANTIATE_TEST_SUITE_P(Backends, InvarianceTest, testing::ValuesIn(fast_backends()), kName);
INSTANTIATE_TEST_SUITE_P(Backends, AttendInvarianceTest, testing::ValuesIn(fast_backends()), kName);
INSTANTIATE_TEST_SUITE_P(Backends, MassInvarianceTest, testing::ValuesIn(all_backends()), kName);

}  // namespace
}  // namespace varve::test
