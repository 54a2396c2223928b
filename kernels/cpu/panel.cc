#include "kernels/cpu/panel.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/error.h"
#include "kernels/gguf_blocks.h"

namespace varve {
namespace {

using namespace gguf;

// One output of one panel under construction.
struct Lane {
  std::uint8_t* panel;
  std::size_t index;  // < kPanelOutputs

  template <class T>
  void put(std::size_t array, std::size_t row, T value) const {
    std::memcpy(panel + array + (row * kPanelOutputs + index) * sizeof(T), &value, sizeof(T));
  }
};

// Elements of one group.
using Quants = std::array<std::uint8_t, kGroupK>;

template <class Block>
Quants quants(const Block& b, std::size_t first) {
  Quants q;
  for (std::size_t j = 0; j < kGroupK; ++j) q[j] = static_cast<std::uint8_t>(bits(b, first + j));
  return q;
}

// Word w of the low plane: nibbles of k = 8 w ... 8 w + 7, the first in the lowest bits.
std::uint32_t nibble_word(const Quants& q, std::size_t w) {
  std::uint64_t x;
  std::memcpy(&x, q.data() + 8 * w, sizeof(x));
  x &= 0x0F0F0F0F0F0F0F0FU;
  x = (x | x >> 4U) & 0x00FF00FF00FF00FFU;
  x = (x | x >> 8U) & 0x0000FFFF0000FFFFU;
  return static_cast<std::uint32_t>(x | x >> 16U);
}

void put_low(const Lane& lane, std::size_t array, const Quants& q) {
  for (std::size_t w = 0; w < 4; ++w) lane.put(array, w, nibble_word(q, w));
}

// `kBits` bits above the nibble of k = first, first + 1, ... as one word.
template <unsigned kBits>
std::uint32_t high_word(const Quants& q, std::size_t first) {
  std::uint32_t word = 0;
  for (std::size_t j = 0; j < 32 / kBits; ++j) {
    word |= static_cast<std::uint32_t>(q[first + j] >> 4U) << (kBits * j);
  }
  return word;
}

template <class Block>
constexpr bool kHasMin = requires(Block b) {
  b.m;
};
template <class Block>
constexpr bool kHasFifth = requires(Block b) {
  b.qh;
};

template <DType kType, class Block>
void pack_block(const Block& b, std::size_t g, const Lane& lane) {
  constexpr PanelFormat kFormat = panel_format(kType);
  const std::size_t at = kFormat.group_at(g);
  lane.put(at, 0, b.d);
  if constexpr (kHasMin<Block>) lane.put(at + kFormat.min, 0, b.m);
  const Quants q = quants(b, 0);
  if constexpr (kHasFifth<Block>) lane.put(at + kFormat.high, 0, high_word<1>(q, 0));
  put_low(lane, at + kFormat.low, q);
}

template <DType kType>
void pack_block(const Q8_0& b, std::size_t g, const Lane& lane) {
  constexpr PanelFormat kFormat = panel_format(kType);
  const std::size_t at = kFormat.group_at(g);
  lane.put(at, 0, b.d);
  for (std::size_t j = 0; j < kGroupK; ++j) lane.put(at + kFormat.low, j, b.qs[j]);
}

template <DType kType, class Block>
void pack_k_block(const Block& b, std::size_t g, const Lane& lane) {
  constexpr PanelFormat kFormat = panel_format(kType);
  lane.put(kFormat.header_at(g), 0, b.d);
  lane.put(kFormat.header_at(g), 1, b.dmin);
  for (std::size_t i = 0; i < kFormat.groups_per_header; ++i) {
    const std::size_t at = kFormat.group_at(g + i);
    const ScaleMin sm = scale_min(b.scales, i);
    lane.put(at, 0, sm.scale);
    lane.put(at + kFormat.min, 0, sm.min);
    const Quants q = quants(b, i * kGroupK);
    if constexpr (kHasFifth<Block>) lane.put(at + kFormat.high, 0, high_word<1>(q, 0));
    put_low(lane, at + kFormat.low, q);
  }
}

template <DType kType>
void pack_block(const Q4_K& b, std::size_t g, const Lane& lane) {
  pack_k_block<kType>(b, g, lane);
}
template <DType kType>
void pack_block(const Q5_K& b, std::size_t g, const Lane& lane) {
  pack_k_block<kType>(b, g, lane);
}

template <DType kType>
void pack_block(const Q6_K& b, std::size_t g, const Lane& lane) {
  constexpr PanelFormat kFormat = panel_format(kType);
  lane.put(kFormat.header_at(g), 0, b.d);
  for (std::size_t i = 0; i < kFormat.groups_per_header; ++i) {
    const std::size_t at = kFormat.group_at(g + i);
    const Quants q = quants(b, i * kGroupK);
    for (std::size_t half = 0; half < 2; ++half) {
      lane.put(at, half, b.scales[2 * i + half]);
      lane.put(at + kFormat.high, half, high_word<2>(q, 16 * half));
    }
    put_low(lane, at + kFormat.low, q);
  }
}

template <DType kType, class Block>
void pack_row(const std::byte* row, std::size_t cols, const Lane& lane) {
  const DTypeInfo& info = dtype_info(kType);
  for (std::size_t i = 0; i < cols / info.block_size; ++i) {
    Block block;
    std::memcpy(&block, row + i * sizeof(Block), sizeof(Block));
    pack_block<kType>(block, i * info.block_size / kGroupK, lane);
  }
}

template <class T>
void pack_plain(const std::byte* row, std::size_t cols, const Lane& lane) {
  for (std::size_t k = 0; k < cols; ++k) {
    T value;
    std::memcpy(&value, row + k * sizeof(T), sizeof(T));
    lane.put(0, k, value);
  }
}

void pack_any_row(DType dtype, const std::byte* row, std::size_t cols, const Lane& lane) {
  switch (dtype) {
    case DType::kF32:
      return pack_plain<float>(row, cols, lane);
    case DType::kF16:
    case DType::kBF16:
      return pack_plain<std::uint16_t>(row, cols, lane);
    case DType::kQ4_0:
      return pack_row<DType::kQ4_0, Q4_0>(row, cols, lane);
    case DType::kQ4_1:
      return pack_row<DType::kQ4_1, Q4_1>(row, cols, lane);
    case DType::kQ5_0:
      return pack_row<DType::kQ5_0, Q5_0>(row, cols, lane);
    case DType::kQ5_1:
      return pack_row<DType::kQ5_1, Q5_1>(row, cols, lane);
    case DType::kQ8_0:
      return pack_row<DType::kQ8_0, Q8_0>(row, cols, lane);
    case DType::kQ4_K:
      return pack_row<DType::kQ4_K, Q4_K>(row, cols, lane);
    case DType::kQ5_K:
      return pack_row<DType::kQ5_K, Q5_K>(row, cols, lane);
    case DType::kQ6_K:
      return pack_row<DType::kQ6_K, Q6_K>(row, cols, lane);
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2:
      break;
  }
  VARVE_CHECK(false, "dtype {} has no panel", static_cast<int>(dtype));
}

PanelWeight shape_of(const TensorView& stored) {
  return {stored.dtype, stored.rows, stored.cols, nullptr};
}

}  // namespace

std::size_t packed_bytes(const TensorView& stored) {
  const PanelWeight shape = shape_of(stored);
  return shape.panels() * shape.panel_bytes();
}

void pack_panel(const TensorView& stored, std::size_t p, std::uint8_t* panel) {
  const std::size_t bytes = row_bytes(stored.dtype, stored.cols);
  const std::size_t begin = p * kPanelOutputs;
  const std::size_t count = std::min(kPanelOutputs, stored.rows - begin);
  const auto* rows = static_cast<const std::byte*>(stored.data) + begin * bytes;
  std::memset(panel, 0, shape_of(stored).panel_bytes());
  for (std::size_t i = 0; i < count; ++i) {
    pack_any_row(stored.dtype, rows + i * bytes, stored.cols, {panel, i});
  }
}

}  // namespace varve
