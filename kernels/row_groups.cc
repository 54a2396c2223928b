#include "kernels/row_groups.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/float16.h"

namespace varve {
namespace {

constexpr float kMostF16 = 65504.0F;
constexpr std::uint16_t kNanF16 = 0x7E00;

// The neighbour of a finite float16 on the side of -infinity.
std::uint16_t next_below(std::uint16_t half) {
  if (half == 0) half = 0x8000;
  return static_cast<std::uint16_t>((half & 0x8000U) != 0 ? half + 1 : half - 1);
}

// The largest float16 that is at most `value`.
std::uint16_t round_down(double value) {
  const std::uint16_t half = f32_to_f16(static_cast<float>(value));
  return f16_to_f32(half) > value ? next_below(half) : half;
}

struct Header {
  std::uint16_t scale;
  std::uint16_t minimum;
};
static_assert(sizeof(Header) == kGroupHeader);

// The scale that brings the last code to `range`, within half a scale: only a subnormal float16 can
// fail to, and then the next one above does.
std::uint16_t scale_of(double range, double last) {
  const std::uint16_t half = f32_to_f16(static_cast<float>(range / last));
  const bool reaches = f16_to_f32(half) * (last + 0.5) >= range;
  return reaches ? half : static_cast<std::uint16_t>(half + 1);
}

// The minimum lies at or below all numbers, so every number has a code within half a scale.
Header header_of(const float* x, std::size_t bits) {
  const auto [least, most] = std::minmax_element(x, x + kRowGroup);
  const auto fits = [](float value) { return std::abs(value) <= kMostF16; };
  if (!std::all_of(x, x + kRowGroup, fits)) return {0, kNanF16};
  const std::uint16_t minimum = round_down(*least);
  const double range = double{*most} - f16_to_f32(minimum);
  return {scale_of(range, (1U << bits) - 1), minimum};
}

}  // namespace

void encode_group(DType dtype, const float* x, std::uint8_t* block) {
  const GroupFormat format = group_format(dtype);
  const Header header = header_of(x, format.bits);
  const float scale = f16_to_f32(header.scale);
  const float minimum = f16_to_f32(header.minimum);
  const auto last = static_cast<float>((1U << format.bits) - 1);
  std::uint8_t codes[kRowGroup] = {};
  for (std::size_t i = 0; scale > 0 && i < kRowGroup; ++i) {
    codes[i] = static_cast<std::uint8_t>(std::min((x[i] - minimum) / scale + 0.5F, last));
  }
  std::memcpy(block, &header, sizeof(header));
  std::uint8_t* packed = block + kGroupHeader;
  std::fill_n(packed, format.stride, std::uint8_t{0});
  for (std::size_t i = 0; i < kRowGroup; ++i) {
    const unsigned bits = codes[i] << (i / format.stride * format.bits);
    packed[i % format.stride] = static_cast<std::uint8_t>(packed[i % format.stride] | bits);
  }
}

void encode_key_group(DType dtype, const ConstMatrix& keys, std::uint8_t* blocks) {
  for (std::size_t d = 0; d < keys.cols; ++d) {
    float channel[kRowGroup];
    for (std::size_t i = 0; i < kRowGroup; ++i) {
      channel[i] = keys.row(std::min(i, keys.rows - 1))[d];
    }
    encode_group(dtype, channel, blocks + d * group_format(dtype).bytes);
  }
}

void encode_value_rows(DType dtype, const ConstMatrix& values, std::uint8_t* blocks) {
  for (std::size_t i = 0; i < values.rows; ++i) {
    for (std::size_t d = 0; d < values.cols; d += kRowGroup) {
      encode_group(dtype, values.row(i) + d, blocks);
      blocks += group_format(dtype).bytes;
    }
  }
}

float decode_code(DType dtype, const std::uint8_t* block, std::size_t i) {
  const GroupFormat format = group_format(dtype);
  Header header;
  std::memcpy(&header, block, sizeof(header));
  const unsigned byte = block[kGroupHeader + i % format.stride];
  const unsigned code = byte >> (i / format.stride * format.bits) & ((1U << format.bits) - 1);
  return static_cast<float>(code) * f16_to_f32(header.scale) + f16_to_f32(header.minimum);
}

}  // namespace varve
