#include "kernels/cpu/cached_rows.h"

#include <algorithm>

#include "kernels/checks.h"
#include "kernels/host_memory.h"
#include "kernels/host_rows.h"
#include "kernels/row_groups.h"

namespace varve {

CachedRowVerbs::CachedRowVerbs(const RowKernels& kernels, ThreadPool& pool)
    : kernels_(kernels), pool_(pool), decoded_(pool.size()) {}

template <class Work>
void CachedRowVerbs::each_group(const SegmentView& segment, const Work& work) {
  const std::size_t dim = segment.head_dim;
  const std::size_t bytes = kRowGroup * dim * sizeof(float);
  for (Buffer& buffer : decoded_) {
    if (buffer.bytes() < bytes) buffer = allocate_host(bytes);
  }
  const std::size_t groups = (segment.most_rows() + kRowGroup - 1) / kRowGroup;
  pool_.each(groups * segment.kv_heads(), [&](std::size_t task, std::size_t thread) {
    const std::size_t head = task % segment.kv_heads();
    const std::size_t first = task / segment.kv_heads() * kRowGroup;
    if (first >= segment.rows(head)) return;
    const std::size_t count = std::min(kRowGroup, segment.rows(head) - first);
    work(Group{head, first, count}, Matrix{decoded_[thread].as<float>(), count, dim, dim});
  });
}

void CachedRowVerbs::write_row(const SegmentStore& into, void* base, std::size_t row,
                               const float* from) const {
  const std::size_t bytes = row_bytes(into.dtype, into.head_dim);
  kernels_.encode(into.dtype, from, into.head_dim, static_cast<std::byte*>(base) + row * bytes);
}

void CachedRowVerbs::append(ConstMatrix k, ConstMatrix v, std::span<const std::int32_t> positions,
                            const SegmentStore& into, std::size_t at) {
  check_append(k, v, positions, into, at);
  append_host_positions(positions, into, at);
  for (std::size_t t = 0; t < k.rows; ++t) {
    for (std::size_t h = 0; h < into.kv_heads(); ++h) {
      const std::size_t row = into.heads[h].begin + at + t;
      const std::size_t column = h * into.head_dim;
      write_row(into, into.keys, row, k.row(t) + column);
      write_row(into, into.values, row, v.row(t) + column);
    }
  }
}

void CachedRowVerbs::decode(const SegmentView& from, std::size_t head, std::size_t begin,
                            const Matrix& keys, const Matrix& values) {
  check_decode_rows(from, head, begin, keys, values);
  pool_.split(keys.rows, [&](std::size_t first, std::size_t end, std::size_t) {
    kernels_.decode_keys(from, head, begin, keys, first, end);
  });
  pool_.split(values.rows, [&](std::size_t first, std::size_t end, std::size_t) {
    kernels_.decode_values(from, head, begin, values, first, end);
  });
}

void CachedRowVerbs::encode_group(const SegmentView& from, const Group& group, const Matrix& rows,
                                  const SegmentStore& into) const {
  const std::size_t row = into.heads[group.head].begin + group.first;
  auto* keys = static_cast<std::uint8_t*>(into.keys);
  auto* values = static_cast<std::uint8_t*>(into.values);
  kernels_.decode_keys(from, group.head, group.first, rows, 0, group.count);
  encode_key_group(into.dtype, rows, keys + key_bytes(into.dtype, row, into.head_dim));
  kernels_.decode_values(from, group.head, group.first, rows, 0, group.count);
  encode_value_rows(into.dtype, rows, values + row * row_bytes(into.dtype, into.head_dim));
}

void CachedRowVerbs::encode(const SegmentView& from, const SegmentStore& into) {
  check_encode_rows(from, into);
  copy_host_positions(from, into);
  each_group(
      from, [&](const Group& group, const Matrix& rows) { encode_group(from, group, rows, into); });
}

void CachedRowVerbs::rope_keys(const SegmentView& from, const ConstMatrix& cos_sin,
                               RopeLayout layout, const SegmentStore& into) {
  check_rope_keys(from, cos_sin, into);
  each_group(from, [&](const Group& group, const Matrix& keys) {
    const ConstMatrix angles{cos_sin.row(group.first), group.count, cos_sin.cols, cos_sin.stride};
    kernels_.decode_keys(from, group.head, group.first, keys, 0, group.count);
    kernels_.rope(keys, angles, from.head_dim, layout, 0, group.count);
    const std::size_t row = into.heads[group.head].begin + group.first;
    for (std::size_t i = 0; i < group.count; ++i) {
      write_row(into, into.keys, row + i, keys.row(i));
    }
  });
}

}  // namespace varve
