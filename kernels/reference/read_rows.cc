#include "kernels/reference/read_rows.h"

#include "kernels/reference/dequantize.h"
#include "kernels/row_groups.h"

namespace varve {
namespace {

void read_row(const SegmentView& s, const void* base, std::size_t row, std::span<float> out) {
  const std::size_t bytes = row_bytes(s.dtype, s.head_dim);
  dequantize(s.dtype, static_cast<const std::byte*>(base) + row * bytes, s.head_dim, out.data());
}

}  // namespace

void read_key(const SegmentView& s, std::size_t head, std::size_t row, std::span<float> out) {
  const std::size_t at = s.heads[head].begin + row;
  if (!is_grouped(s.dtype)) return read_row(s, s.keys, at, out);
  const std::size_t bytes = group_format(s.dtype).bytes;
  const auto* block = static_cast<const std::uint8_t*>(s.keys) +
                      key_bytes(s.dtype, at / kRowGroup * kRowGroup, s.head_dim);
  for (std::size_t d = 0; d < s.head_dim; ++d, block += bytes) {
    out[d] = decode_code(s.dtype, block, at % kRowGroup);
  }
}

void read_value(const SegmentView& s, std::size_t head, std::size_t row, std::span<float> out) {
  read_row(s, s.values, s.heads[head].begin + row, out);
}

}  // namespace varve
