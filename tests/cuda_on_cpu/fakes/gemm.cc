#include "tests/cuda_on_cpu/fakes/gemm.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <array>

namespace varve::fakes {
namespace {

// A tile of accumulators that stays in registers.
constexpr std::int64_t kTileM = 8;
constexpr std::int64_t kTileN = 4;
using Tile = std::array<std::array<float, kTileM>, kTileN>;

struct Range {
  std::int64_t begin, end;
};

template <class T>
float widen(T value) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __bfloat162float(value);
  } else if constexpr (std::is_same_v<T, __half>) {
    return __half2float(value);
  } else {
    return value;
  }
}

template <class T>
T narrow(float value) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __float2bfloat16(value);
  } else if constexpr (std::is_same_v<T, __half>) {
    return __float2half(value);
  } else {
    return value;
  }
}

template <class Run>
void with_type(cudaDataType type, const Run& run) {
  switch (type) {
    case CUDA_R_16BF:
      return run(__nv_bfloat16{});
    case CUDA_R_16F:
      return run(__half{});
    default:
      return run(float{});
  }
}

// `lines` rows of A or columns of B from `first` on, each `count` numbers of k from `k` on, as
// out[k][line]: what is not there is zero.
template <class T>
void pack(const T* data, std::int64_t line_stride, std::int64_t k_stride, Range lines, Range ks,
          std::int64_t width, float* out) {
  for (std::int64_t line = 0; line < width; ++line) {
    const bool there = lines.begin + line < lines.end;
    const T* from = data + (there ? (lines.begin + line) * line_stride : 0);
    for (std::int64_t k = ks.begin; k < ks.end; ++k) {
      out[(k - ks.begin) * width + line] = there ? widen(from[k * k_stride]) : 0.0F;
    }
  }
}

void multiply(const float* a, const float* b, std::int64_t count, Tile& sums) {
  Tile tile{};
  for (std::int64_t k = 0; k < count; ++k) {
    for (std::size_t j = 0; j < kTileN; ++j) {
      for (std::size_t i = 0; i < kTileM; ++i) tile[j][i] += a[i] * b[j];
    }
    a += kTileM;
    b += kTileN;
  }
  sums = tile;
}

// put(row, column, sum over the range of k) for every element.
template <class Put>
void multiply_all(const Gemm& gemm, Range ks, const Put& put) {
  const std::int64_t count = ks.end - ks.begin;
  const std::int64_t tiles_n = (gemm.n + kTileN - 1) / kTileN;
  std::vector<float> b(static_cast<std::size_t>(tiles_n * kTileN * count));
  std::vector<float> a(static_cast<std::size_t>(kTileM * count));
  with_type(gemm.b.type, [&](auto type) {
    for (std::int64_t j = 0; j < tiles_n; ++j) {
      pack(static_cast<const decltype(type)*>(gemm.b.data), gemm.b.column_stride, gemm.b.row_stride,
           {j * kTileN, gemm.n}, ks, kTileN, b.data() + j * kTileN * count);
    }
  });
  for (std::int64_t row = 0; row < gemm.m; row += kTileM) {
    with_type(gemm.a.type, [&](auto type) {
      pack(static_cast<const decltype(type)*>(gemm.a.data), gemm.a.row_stride, gemm.a.column_stride,
           {row, gemm.m}, ks, kTileM, a.data());
    });
    const std::int64_t rows = std::min(kTileM, gemm.m - row);
    for (std::int64_t j = 0; j < tiles_n; ++j) {
      Tile sums;
      multiply(a.data(), b.data() + j * kTileN * count, count, sums);
      const std::int64_t columns = std::min(kTileN, gemm.n - j * kTileN);
      for (std::int64_t y = 0; y < columns; ++y) {
        for (std::int64_t x = 0; x < rows; ++x) {
          put(row + x, j * kTileN + y,
              sums[static_cast<std::size_t>(y)][static_cast<std::size_t>(x)]);
        }
      }
    }
  }
}

float read(const void* data, cudaDataType type, std::int64_t index) {
  float value = 0;
  with_type(type,
            [&](auto kind) { value = widen(static_cast<const decltype(kind)*>(data)[index]); });
  return value;
}

std::int64_t index(const Matrix& matrix, std::int64_t row, std::int64_t column) {
  return row * matrix.row_stride + column * matrix.column_stride;
}

// C is not read if beta is zero: it may hold anything, NaN too.
void finish(const Gemm& gemm, std::int64_t row, std::int64_t column, float sum) {
  float value = gemm.alpha * sum;
  if (gemm.beta != 0) {
    value += gemm.beta * read(gemm.c.data, gemm.c.type, index(gemm.c, row, column));
  }
  if (gemm.bias != nullptr) value += read(gemm.bias, gemm.bias_type, row);
  with_type(gemm.d.type, [&](auto type) {
    using T = decltype(type);
    static_cast<T*>(gemm.d.data)[index(gemm.d, row, column)] = narrow<T>(value);
  });
}

}  // namespace

std::size_t size_of(cudaDataType type) {
  switch (type) {
    case CUDA_R_16BF:
    case CUDA_R_16F:
      return 2;
    case CUDA_R_32F:
      return 4;
    default:
      return 0;
  }
}

void run_gemm(const Gemm& gemm) {
  multiply_all(gemm, {0, gemm.k}, [&gemm](std::int64_t row, std::int64_t column, float sum) {
    finish(gemm, row, column, sum);
  });
}

void sum_pieces(const Gemm& gemm, int pieces, float* sums) {
  const std::int64_t length = (gemm.k + pieces - 1) / pieces;
  for (std::int64_t i = 0; i < pieces; ++i) {
    const Range ks{std::min(i * length, gemm.k), std::min((i + 1) * length, gemm.k)};
    float* out = sums + i * gemm.m * gemm.n;
    multiply_all(gemm, ks, [&](std::int64_t row, std::int64_t column, float sum) {
      out[column * gemm.m + row] = sum;
    });
  }
}

void add_pieces(const Gemm& gemm, int pieces, const float* sums) {
  for (std::int64_t column = 0; column < gemm.n; ++column) {
    for (std::int64_t row = 0; row < gemm.m; ++row) {
      float sum = 0;
      for (std::int64_t i = 0; i < pieces; ++i) {
        sum += sums[(i * gemm.n + column) * gemm.m + row];
      }
      finish(gemm, row, column, sum);
    }
  }
}

}  // namespace varve::fakes
