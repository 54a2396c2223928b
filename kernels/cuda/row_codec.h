// Cached rows as numbers, on the device: every storage format, one element at a time.
#pragma once

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/shapes.h"

namespace varve::cuda {

inline constexpr std::uint32_t kGroup = 32;           // numbers of a block (kRowGroup)
inline constexpr std::uint32_t kBlockHeader = 4;      // bytes of scale and minimum
inline constexpr std::uint32_t kMostBlockBytes = 36;  // of int8

/// Bits of a code; 0 for float formats.
__device__ inline std::uint32_t code_bits(RowFormat format) {
  switch (format) {
    case RowFormat::kInt8:
      return 8;
    case RowFormat::kInt4:
      return 4;
    case RowFormat::kInt2:
      return 2;
    default:
      return 0;
  }
}

__device__ inline std::uint32_t block_bytes(std::uint32_t bits) {
  return kBlockHeader + kGroup * bits / 8;
}

__device__ inline float half_bits(std::uint16_t bits) {
  __half_raw raw;
  raw.x = bits;
  return __half2float(__half(raw));
}

/// Scale and minimum of a block. Blocks are aligned to 4 bytes.
struct BlockScale {
  float scale, minimum;
};

__device__ inline BlockScale block_scale(const std::uint8_t* block) {
  const std::uint32_t header = *reinterpret_cast<const std::uint32_t*>(block);
  return {half_bits(static_cast<std::uint16_t>(header & 0xffffU)),
          half_bits(static_cast<std::uint16_t>(header >> 16U))};
}

/// Number i of a block: code * scale + minimum, rounded once (a code times a float16 is exact).
__device__ inline float block_number(const std::uint8_t* block, BlockScale s, std::uint32_t bits,
                                     std::uint32_t i) {
  const std::uint32_t stride = kGroup * bits / 8;
  const std::uint32_t byte = block[kBlockHeader + i % stride];
  const std::uint32_t code = byte >> (i / stride * bits) & ((1U << bits) - 1U);
  return fmaf(static_cast<float>(code), s.scale, s.minimum);
}

__device__ inline float float_number(const void* data, RowFormat format, std::size_t at) {
  switch (format) {
    case RowFormat::kF16:
      return __half2float(static_cast<const __half*>(data)[at]);
    case RowFormat::kBF16:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]);
    default:
      return static_cast<const float*>(data)[at];
  }
}

/// Channel d of key `row` of a head.
__device__ inline float key_number(const void* keys, RowFormat format, std::uint32_t head_dim,
                                   std::uint32_t row, std::uint32_t d) {
  const std::uint32_t bits = code_bits(format);
  if (bits == 0) return float_number(keys, format, std::size_t{row} * head_dim + d);
  const auto* block = static_cast<const std::uint8_t*>(keys) +
                      (std::size_t{row / kGroup} * head_dim + d) * block_bytes(bits);
  return block_number(block, block_scale(block), bits, row % kGroup);
}

/// Channel d of value `row` of a head.
__device__ inline float value_number(const void* values, RowFormat format, std::uint32_t head_dim,
                                     std::uint32_t row, std::uint32_t d) {
  const std::uint32_t bits = code_bits(format);
  if (bits == 0) return float_number(values, format, std::size_t{row} * head_dim + d);
  const auto* block = static_cast<const std::uint8_t*>(values) +
                      (std::size_t{row} * (head_dim / kGroup) + d / kGroup) * block_bytes(bits);
  return block_number(block, block_scale(block), bits, d % kGroup);
}

/// Writes a number in a float format, rounded to nearest.
__device__ inline void store_number(void* data, RowFormat format, std::size_t at, float x) {
  switch (format) {
    case RowFormat::kF16:
      static_cast<__half*>(data)[at] = __float2half_rn(x);
      return;
    case RowFormat::kBF16:
      static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(x);
      return;
    default:
      static_cast<float*>(data)[at] = x;
  }
}

}  // namespace varve::cuda
