// What the tests of kernels share: random matrices, weights in every stored format, cached
// segments, and the list of backends to run on.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace varve::test {

// What a test binary runs on, in cpu_backends.cc or cuda_backends.cc, whichever it links.
/// Every backend, one entry per instruction set of the CPU backend.
std::vector<std::string> all_backends();
/// The same without the reference.
std::vector<std::string> fast_backends();
/// Whether slow tests run on it at full length: the best that this machine has, and what most have.
bool tried_in_full(const std::string& backend);

/// A backend for tests: it takes operands in host memory.
std::unique_ptr<Ops> test_ops(const std::string& backend, std::size_t threads);
/// Unit roundoff of the factors of a product: that of float32, or on 16-bit matrix units that of
/// what they are rounded to. In attention those are queries and weights of rows of a `dtype`.
double product_roundoff(const Ops& ops);
double attention_roundoff(const Ops& ops, DType dtype);
/// A GoogleTest suffix for a backend: letters and digits.
std::string test_name(const std::string& text);

inline constexpr DType kAllTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0,
                                      DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                                      DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};
inline constexpr DType kRowTypes[] = {DType::kF32, DType::kF16, DType::kBF16};
inline constexpr DType kGroupTypes[] = {DType::kInt8, DType::kInt4, DType::kInt2};
/// All formats of cached rows.
inline constexpr DType kCachedTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16,
                                         DType::kInt8, DType::kInt4, DType::kInt2};

/// Pseudo-random numbers, the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 2654435761U + 1) {}
  std::uint64_t bits();
  /// Uniform in [-1, 1).
  float real();
  std::size_t below(std::size_t limit) { return bits() % limit; }

 private:
  std::uint64_t state_;
};

/// A float32 matrix that owns its memory. Rows are `gap` elements further apart than they are long;
/// the gaps hold NaN, so a kernel that reads or writes them is found out.
class Rows {
 public:
  Rows(std::size_t rows, std::size_t cols, std::size_t gap = 0);
  static Rows random(std::size_t rows, std::size_t cols, Random& random, std::size_t gap = 0);

  Matrix view() { return {data_.data(), rows_, cols_, stride_}; }
  ConstMatrix view() const { return {data_.data(), rows_, cols_, stride_}; }
  Matrix slice(std::size_t begin, std::size_t count) { return view().slice(begin, count); }
  float* row(std::size_t r) { return view().row(r); }
  /// True if nothing wrote between the rows.
  bool gaps_intact() const;

 private:
  std::size_t rows_, cols_, stride_;
  std::vector<float> data_;
};

/// A weight in a stored format: random bytes, but scales of moderate size.
class StoredWeight {
 public:
  StoredWeight(DType dtype, std::size_t rows, std::size_t cols, Random& random);

  TensorView view() const { return {bytes_.data(), dtype_, rows_, cols_}; }
  /// Row-major float32 [rows * cols].
  std::vector<float> decoded() const;

 private:
  DType dtype_;
  std::size_t rows_, cols_;
  std::vector<std::uint8_t> bytes_;
};

/// float32 values as a vector weight of one row.
Weight vector_weight(Ops& ops, const std::vector<float>& values);

/// Rows of one layer's cache in memory of its own, beyond which lies NaN (of float formats).
class CachedRows {
 public:
  /// Heads that all have room for `capacity` rows, and share their positions.
  CachedRows(DType dtype, std::size_t kv_heads, std::size_t head_dim, std::size_t capacity);
  /// Heads with room for so many rows each, and positions of their own.
  CachedRows(DType dtype, std::size_t head_dim, const std::vector<std::size_t>& capacities);

  SegmentStore store();
  /// The same with `rows` rows in each head.
  SegmentStore store(std::size_t rows);
  /// All rows.
  SegmentView view() const;
  /// The first `rows` rows of each head.
  SegmentView view(std::size_t rows) const;
  /// Rows [begin, end) of each head as a segment of their own.
  SegmentView view(std::size_t begin, std::size_t end) const;
  const std::vector<std::uint8_t>& keys() const { return keys_; }
  const std::vector<std::uint8_t>& values() const { return values_; }
  const std::vector<std::int32_t>& positions() const { return positions_; }

 private:
  std::span<const HeadRows> keep(std::vector<HeadRows> heads) const;

  DType dtype_;
  std::size_t head_dim_;
  bool shared_positions_;
  std::vector<HeadRows> room_;
  std::vector<std::uint8_t> keys_, values_;
  std::vector<std::int32_t> positions_;
  mutable std::list<std::vector<HeadRows>> views_;  // what views of less than all refer to
};

/// State of a fold: out [rows, heads * dim] and lse [rows, heads], cleared.
class State {
 public:
  State(Ops& by, std::size_t rows, std::size_t heads, std::size_t dim);
  Partial view() { return {out.view(), lse.view()}; }
  Partial slice(std::size_t begin, std::size_t count) {
    return {out.slice(begin, count), lse.slice(begin, count)};
  }

  const Ops* ops;  // whose state it is
  Rows out;
  Rows lse;
};

}  // namespace varve::test
