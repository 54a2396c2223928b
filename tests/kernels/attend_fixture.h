// A scene for tests of attention: cached segments, queries, and the answer by direct softmax.
#pragma once

#include <optional>
#include <vector>

#include "tests/kernels/fixtures.h"

namespace varve::test {

struct Shape {
  std::size_t q_heads = 4;
  std::size_t kv_heads = 2;
  std::size_t dim = 64;
  DType dtype = DType::kF16;

  AttendParams params(std::optional<std::size_t> window = {}) const;
};

/// The keys or values of one head as float32 [rows * D], by the definition of its format.
std::vector<float> decode_keys(const SegmentView& s, std::size_t head);
std::vector<float> decode_values(const SegmentView& s, std::size_t head);
double norm(const float* x, std::size_t size);
bool sees(std::int64_t query, std::int64_t key, std::optional<std::size_t> window);

/// `rows` random rows in a cache of somewhat more room; positions begin at `first` and advance by
/// `step`. Integer formats are encoded from float32.
CachedRows random_cache(Ops& ops, const Shape& shape, std::size_t rows, Random& random,
                        std::int32_t first = 0, std::int32_t step = 1);

/// Heads that each keep so many of the same random rows, at positions from `first` on, but not the
/// same ones.
CachedRows ragged_cache(Ops& ops, const Shape& shape, const std::vector<std::size_t>& rows,
                        Random& random, std::int32_t first = 0);

/// One softmax in double over all visible keys of all items, written from the definition.
struct Direct {
  Rows out;                    // [T, Hq * D]
  Rows lse;                    // [T, Hq]
  std::vector<double> scores;  // [T * Hq]: greatest |scale * q| * |k|, Euclidean norms
  double values = 0;           // greatest |v|
  std::size_t keys = 0;        // greatest number of visible keys
};
Direct direct_attention(const Shape& shape, ConstMatrix q,
                        const std::vector<std::int32_t>& positions,
                        const std::vector<AttendItem>& items,
                        std::optional<std::size_t> window = {});

/// How far a backend's arithmetic may put an lse from the direct one.
double lse_error(const Direct& want, const Shape& shape, std::size_t row, std::size_t head,
                 const Ops& ops);

/// Checks a state against the direct answer with the tolerance that its backend's arithmetic earns.
void expect_attention(State& got, const Direct& want, const Shape& shape);

}  // namespace varve::test
