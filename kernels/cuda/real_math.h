// e^x and ln x in float32, written out so that every target computes the same bits: a device's own
// functions differ from a host's in the last place, and from one toolkit to the next.
#pragma once

#include "kernels/cuda/gpu.h"

namespace varve::cuda {

/// e^x, off by less than 1.1e-7 of itself (tests/kernels/cuda_real_math_test.cc); 0 below -104,
/// infinite above 88.8, NaN of NaN. x = n ln 2 + r, and e^r - 1 - r by a polynomial that is as good
/// as float32 for |r| <= ln 2 / 2 (coefficients of Cephes, expf.c).
__device__ inline float exp_f32(float x) {
  if (!(x >= -104.0F)) return x < 0 ? 0.0F : x;
  const float n = rintf(fminf(x, 89.0F) * 1.44269504F);
  // ln 2 in two parts, the first of so few bits that n times it is exact.
  const float r = fmaf(n, 2.12194440e-4F, fmaf(n, -0.693359375F, fminf(x, 89.0F)));
  float p = 1.9875691500e-4F;
  p = fmaf(p, r, 1.3981999507e-3F);
  p = fmaf(p, r, 8.3334519073e-3F);
  p = fmaf(p, r, 4.1665795894e-2F);
  p = fmaf(p, r, 1.6666665459e-1F);
  p = fmaf(p, r, 5.0000001201e-1F);
  p = fmaf(p, r * r, r) + 1.0F;
  // 2^n in two factors: n goes from -150 to 128.
  const auto whole = static_cast<std::int32_t>(n);
  const std::int32_t half = whole / 2;
  const auto power = [](std::int32_t e) {
    return __uint_as_float(static_cast<std::uint32_t>(e + 127) << 23U);
  };
  return p * power(half) * power(whole - half);
}

/// ln x of a normal number, off by less than 1.1e-7 of itself or, near 1, of x - 1. x = m 2^e with
/// m in [sqrt(1/2), sqrt(2)), and ln m by a polynomial (coefficients of Cephes, logf.c).
__device__ inline float log_f32(float x) {
  const std::uint32_t bits = __float_as_uint(x);
  // sqrt(1/2) is 0x3f3504f3.
  const std::uint32_t shifted = bits - 0x3f3504f3U;
  const auto e = static_cast<float>(static_cast<std::int32_t>(shifted) >> 23);
  const float f = __uint_as_float((shifted & 0x7fffffU) + 0x3f3504f3U) - 1.0F;
  const float squared = f * f;
  float p = 7.0376836292e-2F;
  p = fmaf(p, f, -1.1514610310e-1F);
  p = fmaf(p, f, 1.1676998740e-1F);
  p = fmaf(p, f, -1.2420140846e-1F);
  p = fmaf(p, f, 1.4249322787e-1F);
  p = fmaf(p, f, -1.6668057665e-1F);
  p = fmaf(p, f, 2.0000714765e-1F);
  p = fmaf(p, f, -2.4999993993e-1F);
  p = fmaf(p, f, 3.3333331174e-1F);
  float low = fmaf(p * f, squared, e * -2.12194440e-4F);
  low = fmaf(squared, -0.5F, low);
  return fmaf(e, 0.693359375F, f + low);
}

}  // namespace varve::cuda
