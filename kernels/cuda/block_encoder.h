// Numbers to blocks of the integer formats, on the device: the bits of kernels/row_groups.cc.
#pragma once

#include "kernels/cuda/row_codec.h"

namespace varve::cuda {

inline constexpr float kMostF16 = 65504.0F;
inline constexpr std::uint16_t kNanF16 = 0x7E00;

__device__ inline std::uint16_t bits_of_half(float x) {
  const __half_raw raw = __float2half_rn(x);
  return raw.x;
}

/// The largest float16 that is at most `value`.
__device__ inline std::uint16_t round_half_down(float value) {
  std::uint16_t half = bits_of_half(value);
  if (half_bits(half) <= value) return half;
  if (half == 0) half = 0x8000;
  return static_cast<std::uint16_t>((half & 0x8000U) != 0 ? half + 1 : half - 1);
}

/// The scale that brings the last code to `range`, within half a scale.
__device__ inline std::uint16_t scale_bits(double range, double last) {
  const std::uint16_t half = bits_of_half(static_cast<float>(range / last));
  const bool reaches = static_cast<double>(half_bits(half)) * (last + 0.5) >= range;
  return reaches ? half : static_cast<std::uint16_t>(half + 1);
}

/// Encodes x [kGroup] into a block.
__device__ inline void encode_block(const float (&x)[kGroup], std::uint32_t bits,
                                    std::uint8_t* block) {
  float least = x[0];
  float most = x[0];
  bool fits = true;
#pragma unroll
  for (std::uint32_t i = 0; i < kGroup; ++i) {
    fits = fits && fabsf(x[i]) <= kMostF16;
    least = fminf(least, x[i]);
    most = fmaxf(most, x[i]);
  }
  const double last = (1U << bits) - 1U;
  const std::uint16_t minimum = fits ? round_half_down(least) : kNanF16;
  const double range = static_cast<double>(most) - static_cast<double>(half_bits(minimum));
  const std::uint16_t scale = fits ? scale_bits(range, last) : std::uint16_t{0};
  *reinterpret_cast<std::uint32_t*>(block) = scale | std::uint32_t{minimum} << 16U;
  const float step = half_bits(scale);
  const float base = half_bits(minimum);
  const std::uint32_t stride = kGroup * bits / 8;
  std::uint32_t packed[kGroup / 4] = {};  // the codes, four bytes a word
#pragma unroll
  for (std::uint32_t i = 0; i < kGroup; ++i) {
    const float code = fminf((x[i] - base) / step + 0.5F, static_cast<float>(last));
    const std::uint32_t placed = step > 0 ? static_cast<std::uint32_t>(code) : 0;
    const std::uint32_t at = i % stride;
    packed[at / 4] |= placed << (i / stride * bits + at % 4 * 8);
  }
  auto* words = reinterpret_cast<std::uint32_t*>(block + kBlockHeader);
  for (std::uint32_t i = 0; i < stride / 4; ++i) words[i] = packed[i];
}

}  // namespace varve::cuda
