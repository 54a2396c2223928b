#include "kernels/host_rows.h"

#include <algorithm>
#include <cstring>

#include "kernels/checks.h"

namespace varve {
namespace {

// `count` rows of `bytes` bytes. The ranges may overlap.
void move_rows(const void* from, std::size_t from_row, void* to, std::size_t to_row,
               std::size_t count, std::size_t bytes) {
  std::memmove(static_cast<std::byte*>(to) + to_row * bytes,
               static_cast<const std::byte*>(from) + from_row * bytes, count * bytes);
}

// Rows that follow each other from rows[first] on.
std::size_t neighbours(std::span<const std::uint32_t> rows, std::size_t first) {
  std::size_t count = 1;
  while (first + count < rows.size() && rows[first + count] == rows[first] + count) ++count;
  return count;
}

}  // namespace

void gather_host_rows(const SegmentView& from, std::size_t head,
                      std::span<const std::uint32_t> rows, const SegmentStore& into,
                      std::size_t at) {
  check_gather_rows(from, head, rows, into, at);
  const std::size_t bytes = row_bytes(from.dtype, from.head_dim);
  const std::int32_t* positions = from.positions_of(head).data();
  for (std::size_t i = 0; i < rows.size();) {
    const std::size_t count = neighbours(rows, i);
    const std::size_t source = from.heads[head].begin + rows[i];
    const std::size_t target = into.heads[head].begin + at + i;
    move_rows(from.keys, source, into.keys, target, count, bytes);
    move_rows(from.values, source, into.values, target, count, bytes);
    if (!into.shared_positions) {
      std::memmove(into.positions + target, positions + rows[i], count * sizeof(std::int32_t));
    }
    i += count;
  }
}

void append_host_positions(std::span<const std::int32_t> positions, const SegmentStore& into,
                           std::size_t at) {
  const std::size_t copies = into.shared_positions ? 1 : into.kv_heads();
  for (std::size_t head = 0; head < copies; ++head) {
    const std::size_t first = into.shared_positions ? 0 : into.heads[head].begin;
    std::copy(positions.begin(), positions.end(), into.positions + first + at);
  }
}

void copy_host_positions(const SegmentView& from, const SegmentStore& into) {
  if (from.shared_positions && into.shared_positions) {
    std::copy_n(from.positions, from.most_rows(), into.positions);
    return;
  }
  for (std::size_t head = 0; head < into.kv_heads(); ++head) {
    const auto positions = from.positions_of(head);
    std::copy(positions.begin(), positions.end(), into.positions + into.heads[head].begin);
  }
}

}  // namespace varve
