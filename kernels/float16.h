// The two 16-bit float formats, as scalars. Widening is exact; narrowing rounds to nearest even
// (IEEE 754-2008, 4.3.1) and turns every NaN into a quiet one.
#pragma once

#include <cstdint>

namespace varve {

float f16_to_f32(std::uint16_t half);
float bf16_to_f32(std::uint16_t half);
std::uint16_t f32_to_f16(float value);
std::uint16_t f32_to_bf16(float value);

}  // namespace varve
