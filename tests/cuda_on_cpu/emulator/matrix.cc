#include "tests/cuda_on_cpu/emulator/matrix.h"

#include <bit>

#include "tests/cuda_on_cpu/emulator/collectives.h"
#include "tests/cuda_on_cpu/emulator/machine.h"

namespace varve::emulator {
namespace {

constexpr int kRowBytes = 16;
constexpr int kM = 16, kN = 8, kK = 16;

// Number h (0 or 1) of a pair.
std::uint32_t half(std::uint32_t pair, int h) {
  return pair >> (16 * h) & 0xffffU;
}

template <bool Transposed>
void distribute(void* const* lanes) {
  const auto element = [lanes](int matrix, int i, int j) {
    return half(static_cast<const MatrixRow*>(lanes[matrix * 8 + i])->row[j / 2], j % 2);
  };
  for (int lane = 0; lane < 32; ++lane) {
    const int i = lane / 4;
    const int j = lane % 4 * 2;
    for (int matrix = 0; matrix < 4; ++matrix) {
      const std::uint32_t lo = Transposed ? element(matrix, j, i) : element(matrix, i, j);
      const std::uint32_t hi = Transposed ? element(matrix, j + 1, i) : element(matrix, i, j + 1);
      static_cast<MatrixRow*>(lanes[lane])->fragment[matrix] = lo | hi << 16U;
    }
  }
}

float from_bfloat16(std::uint32_t bits) {
  return std::bit_cast<float>(bits << 16U);
}

// The exponent's bias differs by 112: a product with 2^112 sets it right, subnormals included.
float from_float16(std::uint32_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t shifted = (bits & 0x7fffU) << 13U;
  if (shifted >= 0x0f800000U) {  // infinite or not a number
    return std::bit_cast<float>(sign | shifted | 0x7f800000U);
  }
  const float magnitude = std::bit_cast<float>(shifted) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

// A row of B or D: the compiler adds all of it at once.
typedef float Row __attribute__((vector_size(kN * sizeof(float))));

struct Matrices {
  float a[kM][kK];
  Row b[kK];
  Row d[kM];
};

// The PTX manual's layout: of lane 4 g + t, registers a0 to a3 hold the rows g, g + 8, g, g + 8 of
// A at the columns 2 t and 2 t + 1 (a0, a1) or those plus 8; b0 and b1 the rows 2 t and 2 t + 1 (or
// those plus 8) of B at column g; d0 to d3 the rows g, g, g + 8, g + 8 of D at the columns 2 t, 2 t
// + 1.
template <float (*Value)(std::uint32_t)>
void gather(Matrices& all, const Fragments& mine, int g, int t) {
  for (int h = 0; h < 2; ++h) {
    const int k = 2 * t + h;
    all.a[g][k] = Value(half(mine.a[0], h));
    all.a[g + 8][k] = Value(half(mine.a[1], h));
    all.a[g][k + 8] = Value(half(mine.a[2], h));
    all.a[g + 8][k + 8] = Value(half(mine.a[3], h));
    all.b[k][g] = Value(half(mine.b[0], h));
    all.b[k + 8][g] = Value(half(mine.b[1], h));
    all.d[g][k] = mine.d[h];
    all.d[g + 8][k] = mine.d[2 + h];
  }
}

template <float (*Value)(std::uint32_t)>
void multiply_all(void* const* lanes) {
  Matrices all;
  for (int lane = 0; lane < 32; ++lane) {
    gather<Value>(all, *static_cast<const Fragments*>(lanes[lane]), lane / 4, lane % 4);
  }
  for (int m = 0; m < kM; ++m) {
    Row sum = all.d[m];
    for (int k = 0; k < kK; ++k) sum += all.a[m][k] * all.b[k];
    all.d[m] = sum;
  }
  for (int lane = 0; lane < 32; ++lane) {
    float* const d = static_cast<Fragments*>(lanes[lane])->d;
    for (int i = 0; i < 4; ++i) d[i] = all.d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
}

}  // namespace

void check_matrix_row(const void* row, Place at) {
  if (reinterpret_cast<std::uintptr_t>(row) % kRowBytes != 0) {
    machine.fail(at, "ldmatrix_x4 with a row that is not aligned to 16 bytes");
  }
  if (!machine.shared().contains(row, kRowBytes)) {
    machine.fail(at, "ldmatrix_x4 with a row outside of the block's shared memory");
  }
}

void load_matrices(MatrixRow& mine, bool transposed, Place at) {
  collective(Word::kLdmatrix, at, &mine, transposed ? distribute<true> : distribute<false>);
}

void multiply(Fragments& mine, Format format, Place at) {
  collective(
      format == Format::kBfloat16 ? Word::kMmaBf16 : Word::kMmaF16, at, &mine,
      format == Format::kBfloat16 ? multiply_all<from_bfloat16> : multiply_all<from_float16>);
}

}  // namespace varve::emulator
