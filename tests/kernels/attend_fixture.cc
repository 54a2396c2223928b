#include "tests/kernels/attend_fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/float16.h"
#include "kernels/reference/dequantize.h"
#include "tests/support/near.h"

namespace varve::test {
namespace {

struct Key {
  double score;
  const float* value;  // [D]
};

// What one key head of an item holds, as float32.
struct DecodedHead {
  std::vector<float> keys;    // [rows * D]
  std::vector<float> values;  // [rows * D]
};

// One query head of one row.
struct Asker {
  const float* q;  // [D]
  std::size_t row;
  std::size_t head;
  std::size_t kv_head;
  std::int32_t position;
};

// The keys that it sees; notes the norms that the tolerance needs.
std::vector<Key> visible_keys(const Shape& shape, const Asker& asker,
                              const std::vector<AttendItem>& items,
                              const std::vector<DecodedHead>& decoded,
                              std::optional<std::size_t> window, Direct& direct) {
  std::vector<Key> keys;
  const double scale = shape.params().scale;
  double& score = direct.scores[asker.row * shape.q_heads + asker.head];
  for (std::size_t n = 0; n < items.size(); ++n) {
    const AttendItem& item = items[n];
    if (asker.row < item.row_begin || asker.row >= item.row_begin + item.row_count) continue;
    const auto positions = item.segment.positions_of(asker.kv_head);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (!sees(asker.position, positions[i], window)) continue;
      const float* k = decoded[n].keys.data() + i * shape.dim;
      double dot = 0;
      for (std::size_t d = 0; d < shape.dim; ++d) dot += double{asker.q[d]} * k[d];
      keys.push_back({dot * scale, decoded[n].values.data() + i * shape.dim});
      score = std::max(score, scale * norm(asker.q, shape.dim) * norm(k, shape.dim));
    }
  }
  direct.keys = std::max(direct.keys, keys.size());
  return keys;
}

float soften(const std::vector<Key>& keys, float* out, std::size_t dim) {
  if (keys.empty()) return -std::numeric_limits<float>::infinity();
  double top = keys.front().score;
  for (const Key& key : keys) top = std::max(top, key.score);
  double total = 0;
  std::vector<double> sum(dim);
  for (const Key& key : keys) {
    const double weight = std::exp(key.score - top);
    total += weight;
    for (std::size_t d = 0; d < dim; ++d) sum[d] += weight * key.value[d];
  }
  for (std::size_t d = 0; d < dim; ++d) out[d] = static_cast<float>(sum[d] / total);
  return static_cast<float>(top + std::log(total));
}

// With Q the greatest |scale q| |k|: a score is off by (D + 3) roundings of at most Q; subtracting
// the maximum and the exponential add 2 Q + 4; each tile of 64 keys may rescale, again 2 Q + 4;
// summing n weights adds n. That is the relative error of a weight. An output is a quotient of two
// such sums, bounded by the greatest value; the logarithm turns relative into absolute error.
// Matrix units round the query before, which a score feels as Q roundoffs, and then weights and
// values, integer ones at that, each by a roundoff; weights below the normal numbers of float16 are
// off by up to 2^-25 each.
double weight_error(const Direct& want, const Shape& shape, std::size_t row, std::size_t head,
                    const Ops& ops) {
  const double q = want.scores[row * shape.q_heads + head];
  const double keys = static_cast<double>(want.keys);
  const double scoring = (static_cast<double>(shape.dim) + 3) * q;
  const double single = kEps * (scoring + (keys / 64 + 2) * (2 * q + 4) + keys);
  const double roundoff = attention_roundoff(ops, shape.dtype);
  return roundoff == kEps ? single : single + roundoff * (q + 2) + keys * 0x1p-25;
}

// Number i of a block of an integer format (common/cached_rows.h).
float number(DType dtype, const std::uint8_t* block, std::size_t i) {
  const std::size_t codes = dtype == DType::kInt8 ? 1 : (dtype == DType::kInt4 ? 2 : 4);
  const std::size_t bits = 8 / codes;
  std::uint16_t scale;
  std::uint16_t minimum;
  std::memcpy(&scale, block, 2);
  std::memcpy(&minimum, block + 2, 2);
  const unsigned byte = block[4 + i % (32 / codes)];
  const unsigned code = byte >> (i / (32 / codes) * bits) & ((1U << bits) - 1);
  return static_cast<float>(double{f16_to_f32(scale)} * code + f16_to_f32(minimum));
}

// Numbers that lie row after row.
std::vector<float> decode_rows(const SegmentView& s, const void* base, std::size_t head) {
  std::vector<float> values(s.rows(head) * s.head_dim);
  const auto* at =
      static_cast<const std::uint8_t*>(base) + s.heads[head].begin * row_bytes(s.dtype, s.head_dim);
  if (!is_grouped(s.dtype)) {
    dequantize(s.dtype, at, values.size(), values.data());
    return values;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint8_t* block = at + i / kRowGroup * row_bytes(s.dtype, kRowGroup);
    values[i] = number(s.dtype, block, i % kRowGroup);
  }
  return values;
}

}  // namespace

std::vector<float> decode_keys(const SegmentView& s, std::size_t head) {
  if (!is_grouped(s.dtype)) return decode_rows(s, s.keys, head);
  const std::size_t block = row_bytes(s.dtype, kRowGroup);
  std::vector<float> keys(s.rows(head) * s.head_dim);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::size_t row = s.heads[head].begin + i / s.head_dim;
    const std::size_t at = row / kRowGroup * s.head_dim + i % s.head_dim;
    keys[i] =
        number(s.dtype, static_cast<const std::uint8_t*>(s.keys) + at * block, row % kRowGroup);
  }
  return keys;
}

std::vector<float> decode_values(const SegmentView& s, std::size_t head) {
  return decode_rows(s, s.values, head);
}

double norm(const float* x, std::size_t size) {
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += double{x[i]} * x[i];
  return std::sqrt(sum);
}

bool sees(std::int64_t query, std::int64_t key, std::optional<std::size_t> window) {
  return key <= query && (!window || static_cast<std::size_t>(query - key) < *window);
}

AttendParams Shape::params(std::optional<std::size_t> window) const {
  return {.q_heads = q_heads,
          .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(dim))),
          .window = window};
}

CachedRows random_cache(Ops& ops, const Shape& shape, std::size_t rows, Random& random,
                        std::int32_t first, std::int32_t step) {
  if (is_grouped(shape.dtype)) {
    const Shape exact{shape.q_heads, shape.kv_heads, shape.dim, DType::kF32};
    const CachedRows source = random_cache(ops, exact, rows, random, first, step);
    CachedRows cache(shape.dtype, shape.kv_heads, shape.dim, rows + 5);
    ops.encode_rows(source.view(rows), cache.store(rows));
    return cache;
  }
  CachedRows cache(shape.dtype, shape.kv_heads, shape.dim, rows + 5);
  Rows k = Rows::random(rows, shape.kv_heads * shape.dim, random);
  Rows v = Rows::random(rows, shape.kv_heads * shape.dim, random);
  std::vector<std::int32_t> positions(rows);
  for (std::size_t i = 0; i < rows; ++i) positions[i] = first + step * static_cast<std::int32_t>(i);
  // Scores that differ by tens make the running maximum move.
  for (std::size_t r = 0; r < rows; r += 37) {
    for (std::size_t i = 0; i < shape.kv_heads * shape.dim; ++i) k.row(r)[i] *= 8;
  }
  ops.append_rows(k.view(), v.view(), positions, cache.store(), 0);
  return cache;
}

CachedRows ragged_cache(Ops& ops, const Shape& shape, const std::vector<std::size_t>& rows,
                        Random& random, std::int32_t first) {
  const DType plain = is_grouped(shape.dtype) ? DType::kF32 : shape.dtype;
  const std::size_t most = *std::max_element(rows.begin(), rows.end());
  const Shape all{shape.q_heads, shape.kv_heads, shape.dim, plain};
  const CachedRows source = random_cache(ops, all, 2 * most, random, first);
  CachedRows kept(plain, shape.dim, rows);
  for (std::size_t head = 0; head < rows.size(); ++head) {
    std::vector<std::uint32_t> picked(rows[head]);
    for (std::size_t i = 0; i < picked.size(); ++i) {
      picked[i] = static_cast<std::uint32_t>(2 * i + random.below(2));
    }
    ops.gather_rows(source.view(2 * most), head, picked, kept.store(), 0);
  }
  if (plain == shape.dtype) return kept;
  CachedRows cache(shape.dtype, shape.dim, rows);
  ops.encode_rows(kept.view(), cache.store());
  return cache;
}

Direct direct_attention(const Shape& shape, ConstMatrix q,
                        const std::vector<std::int32_t>& positions,
                        const std::vector<AttendItem>& items, std::optional<std::size_t> window) {
  Direct direct{Rows(q.rows, q.cols), Rows(q.rows, shape.q_heads),
                std::vector<double>(q.rows * shape.q_heads)};
  const std::size_t group = shape.q_heads / shape.kv_heads;
  for (std::size_t kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
    std::vector<DecodedHead> decoded;
    for (const AttendItem& item : items) {
      decoded.push_back({decode_keys(item.segment, kv_head), decode_values(item.segment, kv_head)});
      for (const float v : decoded.back().values) {
        direct.values = std::max(direct.values, std::abs(double{v}));
      }
    }
    for (std::size_t i = 0; i < q.rows * group; ++i) {
      const std::size_t row = i / group;
      const std::size_t head = kv_head * group + i % group;
      const Asker asker{q.row(row) + head * shape.dim, row, head, kv_head, positions[row]};
      const auto keys = visible_keys(shape, asker, items, decoded, window, direct);
      direct.lse.row(row)[head] = soften(keys, direct.out.row(row) + head * shape.dim, shape.dim);
    }
  }
  return direct;
}

double lse_error(const Direct& want, const Shape& shape, std::size_t row, std::size_t head,
                 const Ops& ops) {
  return weight_error(want, shape, row, head, ops) +
         4 * kEps * std::abs(double{want.lse.view().row(row)[head]});
}

void expect_attention(State& got, const Direct& want, const Shape& shape) {
  EXPECT_TRUE(near(got.out.view(), want.out.view(), [&](std::size_t r, std::size_t c) {
    return 2 * weight_error(want, shape, r, c / shape.dim, *got.ops) * want.values;
  }));
  EXPECT_TRUE(near(got.lse.view(), want.lse.view(), [&](std::size_t r, std::size_t c) {
    return lse_error(want, shape, r, c, *got.ops);
  }));
}

}  // namespace varve::test
