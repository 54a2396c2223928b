#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/checks.h"
#include "kernels/float16.h"
#include "kernels/host_memory.h"
#include "kernels/host_rows.h"
#include "kernels/reference/read_rows.h"
#include "kernels/reference/reference_ops.h"
#include "kernels/row_groups.h"

namespace varve {
namespace {

// Row `row` of one head, in a float format.
void write_row(const SegmentStore& s, void* base, std::size_t head, std::size_t row,
               const float* from) {
  const std::size_t bytes = row_bytes(s.dtype, s.head_dim);
  auto* at = static_cast<std::byte*>(base) + (s.heads[head].begin + row) * bytes;
  if (s.dtype == DType::kF32) return copy_host(at, from, bytes);
  const auto narrow = s.dtype == DType::kF16 ? f32_to_f16 : f32_to_bf16;
  for (std::size_t i = 0; i < s.head_dim; ++i) {
    const std::uint16_t half = narrow(from[i]);
    std::memcpy(at + i * sizeof(half), &half, sizeof(half));
  }
}

// Rows [first, first + kRowGroup) of a head, as far as there are such.
void encode_group_of(const SegmentView& from, std::size_t head, std::size_t first,
                     const SegmentStore& into) {
  const std::size_t count = std::min(kRowGroup, from.rows(head) - first);
  const std::size_t row = into.heads[head].begin + first;
  std::vector<float> decoded(count * from.head_dim);
  const Matrix rows{decoded.data(), count, from.head_dim, from.head_dim};
  reference_decode_rows(from, head, first, rows, {});
  encode_key_group(
      into.dtype, rows,
      static_cast<std::uint8_t*>(into.keys) + key_bytes(into.dtype, row, into.head_dim));
  reference_decode_rows(from, head, first, {}, rows);
  encode_value_rows(
      into.dtype, rows,
      static_cast<std::uint8_t*>(into.values) + row * row_bytes(into.dtype, into.head_dim));
}

}  // namespace

void reference_append_rows(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                           const SegmentStore& into, std::size_t at) {
  check_append(k, v, positions, into, at);
  append_host_positions(positions, into, at);
  for (std::size_t t = 0; t < k.rows; ++t) {
    for (std::size_t h = 0; h < into.kv_heads(); ++h) {
      write_row(into, into.keys, h, at + t, k.row(t) + h * into.head_dim);
      write_row(into, into.values, h, at + t, v.row(t) + h * into.head_dim);
    }
  }
}

void reference_decode_rows(const SegmentView& from, std::size_t head, std::size_t begin,
                           Matrix keys, Matrix values) {
  check_decode_rows(from, head, begin, keys, values);
  for (std::size_t i = 0; i < keys.rows; ++i) {
    read_key(from, head, begin + i, {keys.row(i), keys.cols});
  }
  for (std::size_t i = 0; i < values.rows; ++i) {
    read_value(from, head, begin + i, {values.row(i), values.cols});
  }
}

void reference_encode_rows(const SegmentView& from, const SegmentStore& into) {
  check_encode_rows(from, into);
  copy_host_positions(from, into);
  for (std::size_t head = 0; head < from.kv_heads(); ++head) {
    for (std::size_t first = 0; first < from.rows(head); first += kRowGroup) {
      encode_group_of(from, head, first, into);
    }
  }
}

void reference_rope_keys(const SegmentView& from, ConstMatrix cos_sin, RopeLayout layout,
                         const SegmentStore& into) {
  check_rope_keys(from, cos_sin, into);
  std::vector<float> key(from.head_dim);
  for (std::size_t head = 0; head < from.kv_heads(); ++head) {
    for (std::size_t row = 0; row < from.rows(head); ++row) {
      read_key(from, head, row, key);
      rotate_head(key.data(), cos_sin.row(row), cos_sin.cols, layout);
      write_row(into, into.keys, head, row, key.data());
    }
  }
}

}  // namespace varve
