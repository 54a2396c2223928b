// How the CPU backend lays a weight [N, K] out in memory. Goals: one linear stream of bytes, vector
// lanes = outputs, and accumulation over k strictly in order, so that one row (GEMV) and many rows
// (GEMM) give the same bits. The file's layout (lanes = k) offers none of the three. The packed
// weight takes the bytes of the stored one, give or take the padding of N to 32 and 1/36 for K
// types.
//
// A panel holds 32 outputs. Along k it is a list of groups of 32 (for K types, eight groups share a
// header, as the 256-element super-block does in the file). Inside a group, all arrays are indexed
// by output first:
//   d, m     f16[32]        scale and offset (K types: d, dmin in the header, u8 or i8 per group)
//   high     u32[32]        bit j of a lane: fifth bit of k = j (Q6_K: [2][32], bits 2j, 2j + 1)
//   low      u32[4][32]     nibble j of word w of a lane: k = 8 w + j
//            or T[32][32]   Q8_0 and the float types: row k, one element per output
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/tensor.h"

namespace varve {

inline constexpr std::size_t kPanelOutputs = 32;
inline constexpr std::size_t kGroupK = 32;

/// Offsets in bytes.
struct PanelFormat {
  std::size_t groups_per_header = 1;
  std::size_t header = 0;  // size: d, then dmin
  std::size_t group = 0;   // size
  std::size_t min = 0;     // of m or the 6-bit minima inside a group; scales stand at 0
  std::size_t high = 0;    // inside a group
  std::size_t low = 0;     // inside a group

  /// Where group g stands in its panel.
  constexpr std::size_t group_at(std::size_t g) const {
    return header_at(g) + header + g % groups_per_header * group;
  }
  /// Where the header that group g belongs to stands.
  constexpr std::size_t header_at(std::size_t g) const {
    return g / groups_per_header * (header + groups_per_header * group);
  }
};

constexpr PanelFormat panel_format(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return {.group = 4096};
    case DType::kF16:
    case DType::kBF16:
      return {.group = 2048};
    case DType::kQ4_0:
      return {.group = 576, .low = 64};
    case DType::kQ4_1:
      return {.group = 640, .min = 64, .low = 128};
    case DType::kQ5_0:
      return {.group = 704, .high = 64, .low = 192};
    case DType::kQ5_1:
      return {.group = 768, .min = 64, .high = 128, .low = 256};
    case DType::kQ8_0:
      return {.group = 1088, .low = 64};
    case DType::kQ4_K:
      return {.groups_per_header = 8, .header = 128, .group = 576, .min = 32, .low = 64};
    case DType::kQ5_K:
      return {
          .groups_per_header = 8, .header = 128, .group = 704, .min = 32, .high = 64, .low = 192};
    case DType::kQ6_K:
      return {.groups_per_header = 8, .header = 64, .group = 832, .high = 64, .low = 320};
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2:
      break;  // of cached rows; no weight has them
  }
  return {};
}

/// A packed weight [rows, cols].
struct PanelWeight {
  DType dtype = DType::kF32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  const std::uint8_t* data = nullptr;

  std::size_t panels() const { return (rows + kPanelOutputs - 1) / kPanelOutputs; }
  std::size_t groups() const { return (cols + kGroupK - 1) / kGroupK; }
  std::size_t panel_bytes() const {
    return panel_format(dtype).group_at(groups()) - panel_format(dtype).header;
  }
  const std::uint8_t* panel(std::size_t p) const { return data + p * panel_bytes(); }
};

/// Bytes of all panels of a weight.
std::size_t packed_bytes(const TensorView& stored);
/// Writes panel p of the stored weight; outputs beyond its rows become zero.
void pack_panel(const TensorView& stored, std::size_t p, std::uint8_t* panel);

}  // namespace varve
