#include "worker/policy/row_reader.h"

#include <algorithm>
#include <cmath>

namespace varve {
namespace {

constexpr std::size_t kBlockRows = 512;

}  // namespace

RowReader::RowReader(const LayerRows& rows, bool with_values)
    : rows_(rows), with_values_(with_values) {
  const std::size_t bytes = kBlockRows * rows.model.head_dim * sizeof(float);
  keys_ = rows.ops.allocate(bytes);
  if (with_values) values_ = rows.ops.allocate(bytes);
}

void RowReader::read(std::size_t head, const std::function<void(const RowBlock&)>& each) {
  const std::size_t d = rows_.model.head_dim;
  std::size_t before = 0;
  for (const SegmentView& segment : rows_.segments) {
    const std::size_t held = segment.rows(head);
    for (std::size_t at = 0; at < held; at += kBlockRows) {
      const std::size_t count = std::min(kBlockRows, held - at);
      const Matrix keys{keys_.as<float>(), count, d, d};
      const Matrix values{values_.as<float>(), with_values_ ? count : 0, d, d};
      rows_.ops.decode_rows(segment, head, at, keys, values);
      each({before + at, keys, values});
    }
    before += held;
  }
}

double length_of(const float* row, std::size_t size) {
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += double{row[i]} * double{row[i]};
  return std::sqrt(sum);
}

}  // namespace varve
