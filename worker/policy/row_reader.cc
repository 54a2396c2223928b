#include "worker/policy/row_reader.h"

#include <algorithm>
#include <cmath>

namespace varve {

RowReader::RowReader(const LayerRows& rows, bool with_values)
    : rows_(rows), with_values_(with_values) {
  host_.resize(kBlockRows * rows.model.head_dim * (with_values ? 2 : 1));
  buffer_ = rows.ops.allocate(host_.size() * sizeof(float));
}

void RowReader::read(std::size_t head, const std::function<void(const RowBlock&)>& each) {
  const std::size_t d = rows_.model.head_dim;
  std::size_t before = 0;
  for (const SegmentView& segment : rows_.segments) {
    const std::size_t held = segment.rows(head);
    for (std::size_t at = 0; at < held; at += kBlockRows) {
      const std::size_t count = std::min(kBlockRows, held - at);
      const std::size_t value_count = with_values_ ? count : 0;
      const Matrix keys{buffer_.as<float>(), count, d, d};
      const Matrix values{keys.row(count), value_count, d, d};
      rows_.ops.decode_rows(segment, head, at, keys, values);
      rows_.ops.download(host_.data(), keys.data, (count + value_count) * d * sizeof(float));
      each({before + at,
            keys,
            {host_.data(), count, d, d},
            {host_.data() + count * d, value_count, d, d}});
    }
    before += held;
  }
}

double length_of(const float* row, std::size_t size) {
  return std::sqrt(dot(row, row, size));
}

}  // namespace varve
