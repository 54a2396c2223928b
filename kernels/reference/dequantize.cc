#include "kernels/reference/dequantize.h"

#include <cstring>

#include "common/error.h"
#include "kernels/float16.h"
#include "kernels/gguf_blocks.h"
#include "kernels/row_groups.h"

namespace varve {
namespace {

using namespace gguf;

// Blocks without an offset must not add zero: -0.0 would lose its sign.
template <class Block>
void decode_scaled(const Block& b, float* out) {
  const float d = f16_to_f32(b.d);
  for (std::size_t j = 0; j < 32; ++j) {
    out[j] = d * static_cast<float>(static_cast<int>(bits(b, j)) - kBias<Block>);
  }
}

template <class Block>
void decode_affine(const Block& b, float* out) {
  const float d = f16_to_f32(b.d);
  const float m = f16_to_f32(b.m);
  for (std::size_t j = 0; j < 32; ++j) out[j] = d * static_cast<float>(bits(b, j)) + m;
}

template <class Block>
void decode_k(const Block& b, float* out) {
  const float d = f16_to_f32(b.d);
  const float dmin = f16_to_f32(b.dmin);
  for (std::size_t j = 0; j < 256; ++j) {
    const ScaleMin sm = scale_min(b.scales, j / 32);
    out[j] = d * static_cast<float>(sm.scale) * static_cast<float>(bits(b, j)) -
             dmin * static_cast<float>(sm.min);
  }
}

void decode(const Q4_0& b, float* out) {
  decode_scaled(b, out);
}
void decode(const Q4_1& b, float* out) {
  decode_affine(b, out);
}
void decode(const Q5_0& b, float* out) {
  decode_scaled(b, out);
}
void decode(const Q5_1& b, float* out) {
  decode_affine(b, out);
}
void decode(const Q4_K& b, float* out) {
  decode_k(b, out);
}
void decode(const Q5_K& b, float* out) {
  decode_k(b, out);
}

void decode(const Q8_0& b, float* out) {
  const float d = f16_to_f32(b.d);
  for (std::size_t j = 0; j < 32; ++j) out[j] = d * static_cast<float>(b.qs[j]);
}

void decode(const Q6_K& b, float* out) {
  const float d = f16_to_f32(b.d);
  for (std::size_t j = 0; j < 256; ++j) {
    out[j] = d * static_cast<float>(b.scales[j / 16]) *
             static_cast<float>(static_cast<int>(bits(b, j)) - kBias<Q6_K>);
  }
}

template <class Block>
void decode_blocks(DType dtype, const std::byte* row, std::size_t elements, float* out) {
  const std::size_t size = dtype_info(dtype).block_size;
  for (std::size_t at = 0; at < elements; at += size) {
    Block block;
    std::memcpy(&block, row + at / size * sizeof(Block), sizeof(Block));
    decode(block, out + at);
  }
}

template <float (*kWiden)(std::uint16_t)>
void decode_halves(const std::byte* row, std::size_t elements, float* out) {
  for (std::size_t j = 0; j < elements; ++j) {
    std::uint16_t half;
    std::memcpy(&half, row + j * sizeof(half), sizeof(half));
    out[j] = kWiden(half);
  }
}

void decode_groups(DType dtype, const std::byte* row, std::size_t elements, float* out) {
  const auto* blocks = reinterpret_cast<const std::uint8_t*>(row);
  for (std::size_t j = 0; j < elements; ++j) {
    out[j] = decode_code(dtype, blocks + j / kRowGroup * group_format(dtype).bytes, j % kRowGroup);
  }
}

}  // namespace

void dequantize(DType dtype, const void* data, std::size_t elements, float* out) {
  VARVE_CHECK(elements % dtype_info(dtype).block_size == 0, "{} elements of {}", elements,
              dtype_info(dtype).name);
  const auto* row = static_cast<const std::byte*>(data);
  switch (dtype) {
    case DType::kF32:
      if (elements > 0) std::memcpy(out, row, elements * sizeof(float));
      return;
    case DType::kF16:
      return decode_halves<f16_to_f32>(row, elements, out);
    case DType::kBF16:
      return decode_halves<bf16_to_f32>(row, elements, out);
    case DType::kQ4_0:
      return decode_blocks<Q4_0>(dtype, row, elements, out);
    case DType::kQ4_1:
      return decode_blocks<Q4_1>(dtype, row, elements, out);
    case DType::kQ5_0:
      return decode_blocks<Q5_0>(dtype, row, elements, out);
    case DType::kQ5_1:
      return decode_blocks<Q5_1>(dtype, row, elements, out);
    case DType::kQ8_0:
      return decode_blocks<Q8_0>(dtype, row, elements, out);
    case DType::kQ4_K:
      return decode_blocks<Q4_K>(dtype, row, elements, out);
    case DType::kQ5_K:
      return decode_blocks<Q5_K>(dtype, row, elements, out);
    case DType::kQ6_K:
      return decode_blocks<Q6_K>(dtype, row, elements, out);
    case DType::kInt8:
    case DType::kInt4:
    case DType::kInt2:
      return decode_groups(dtype, row, elements, out);
  }
  VARVE_CHECK(false, "dtype {} has no decoder", static_cast<int>(dtype));
}

}  // namespace varve
