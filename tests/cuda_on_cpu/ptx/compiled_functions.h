// Functions that nvcc and the host compiler both compile: compiled_test.cc compares what they give.
#pragma once

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define VARVE_BOTH __host__ __device__
#else
#define VARVE_BOTH
#endif

namespace varve::ptx {

inline constexpr int kFloatFunctions = 14;
inline constexpr int kDoubleFunctions = 6;
inline constexpr int kIntegerFunctions = 12;

// The switches become branch tables.
VARVE_BOTH inline float float_function(int which, float x) {
  switch (which) {
    case 0:
      return expf(x);
    case 1:
      return logf(fabsf(x));
    case 2:
      return sinf(x);  // 1e6 needs the long reduction, with an array of its own
    case 3:
      return cosf(x);
    case 4:
      return tanhf(x);
    case 5:
      return erff(x);
    case 6:
      return sqrtf(fabsf(x));
    case 7:
      return powf(fabsf(x), 1.7F);
    case 8:
      return log1pf(fabsf(x));
    case 9:
      return fmodf(x, 0.7F);
    case 10:
      return rintf(x) + floorf(x) + truncf(x) + ceilf(x);
    case 11:
      return x / 3.0F;
    case 12:
      return exp2f(x);
    default:
      return log2f(fabsf(x));
  }
}

VARVE_BOTH inline double double_function(int which, double x) {
  switch (which) {
    case 0:
      return exp(x);
    case 1:
      return log(fabs(x));
    case 2:
      return sin(x);
    case 3:
      return cos(x);
    case 4:
      return pow(fabs(x), 1.7);
    default:
      return sqrt(fabs(x)) / 3.0;
  }
}

VARVE_BOTH inline std::uint64_t integer_function(int which, std::uint64_t x) {
  const auto s = static_cast<std::int64_t>(x);
  const auto low = static_cast<std::uint32_t>(x);
  const auto byte = static_cast<std::int8_t>(x);
  switch (which) {
    case 0:
      return x / 1000003;
    case 1:
      return x % (low % 97 + 1);
    case 2:
      return static_cast<std::uint64_t>(s / -7);
    case 3:
      return static_cast<std::uint64_t>(s >> 5);
    case 4:
      return x * x + 17;
    case 5:
      return static_cast<std::uint64_t>(std::int64_t{byte} * 3);
    case 6:
      return low / 7U + low % 11U;
    case 7:
      return x << (low % 64);
    case 8:
      return (low >> 3U & 0x1fU) | (low << 20U);
    case 9:
      return static_cast<std::uint16_t>(x) * 40000U;
    case 10: {
      std::uint32_t counts[8] = {};  // an array that is indexed by values
      for (int i = 0; i < 64; i += 4) ++counts[x >> i & 7U];
      return counts[low & 7U] * 100 + counts[0];
    }
    default:
      return static_cast<std::uint64_t>(static_cast<float>(s));
  }
}

}  // namespace varve::ptx
