// ldmatrix and mma.sync. Where the elements of a fragment lie is taken from the strides of CuTe's
// MMA_Traits (SM80_16x8x16), not from the PTX manual's tables, which the emulator follows: two
// sources that have to agree.
#include <array>
#include <cstring>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"
#include "tests/cuda_on_cpu/ptx/memory.h"

namespace varve::ptx {
namespace {

// m16n8k16. Lane and value to the place in a matrix stored column by column (A and C: 16 rows,
// B: 8 rows, which are the columns of the product).
constexpr unsigned place_a(unsigned lane, unsigned value) {
  return lane % 4 * 32 + lane / 4 + value % 2 * 16 + value / 2 % 2 * 8 + value / 4 * 128;
}
constexpr unsigned place_b(unsigned lane, unsigned value) {
  return lane % 4 * 16 + lane / 4 + value % 2 * 8 + value / 2 * 64;
}
constexpr unsigned place_c(unsigned lane, unsigned value) {
  return lane % 4 * 32 + lane / 4 + value % 2 * 16 + value / 2 * 8;
}

template <class T>
float element(std::uint32_t pair, unsigned which) {
  return static_cast<float>(widen(T{static_cast<std::uint16_t>(pair >> (16 * which))}));
}

// Slots: 4 of D, 4 of A, 2 of B, 4 of C. Products are added to C one after the other, in float.
template <class T>
void multiply(Warp& warp, const Instruction& i, std::uint32_t) {
  const auto word = [&](std::size_t slot, unsigned lane) {
    return warp.cells<std::uint32_t>(i.slot[slot])[lane];
  };
  float a[16][16];  // row, k
  float b[16][8];   // k, column
  float c[16][8];   // row, column
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    for (unsigned v = 0; v < 8; ++v) {
      const unsigned at = place_a(lane, v);
      a[at % 16][at / 16] = element<T>(word(4 + v / 2, lane), v % 2);
    }
    for (unsigned v = 0; v < 4; ++v) {
      const unsigned at = place_b(lane, v);
      b[at / 8][at % 8] = element<T>(word(8 + v / 2, lane), v % 2);
      const unsigned to = place_c(lane, v);
      c[to % 16][to / 16] = std::bit_cast<float>(word(10 + v, lane));
    }
  }
  for (auto row = 0; row < 16; ++row) {
    for (auto k = 0; k < 16; ++k) {
      for (auto column = 0; column < 8; ++column) c[row][column] += a[row][k] * b[k][column];
    }
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    for (unsigned v = 0; v < 4; ++v) {
      const unsigned at = place_c(lane, v);
      warp.cells<std::uint32_t>(i.slot[v])[lane] =
          std::bit_cast<std::uint32_t>(c[at % 16][at / 16]);
    }
  }
}

void vector_slots(Slots& slots, Instruction& i, const Operand& vector, std::size_t first,
                  std::size_t size, bool written) {
  if (vector.kind != Operand::Kind::kVector || vector.parts.size() != size) {
    throw Unsupported("a vector of another size");
  }
  for (std::size_t n = 0; n < size; ++n) {
    i.slot[first + n] = written ? slots.out(vector.parts[n], 32) : slots.in(vector.parts[n], 32);
  }
}

void decode_mma(Slots& slots, const Statement& s, Instruction& i) {
  const bool known = s.has("sync") && s.has("aligned") && s.has("m16n8k16") && s.has("row") &&
                     s.has("col") && s.opcode.size() == 10 && s.type(0) == s.type(3) &&
                     s.type(0) == Type{Type::Kind::kFloat, 32, 1} && s.type(1) == s.type(2) &&
                     s.type(1).is_float() && s.type(1).bits == 16 && s.operands.size() == 4;
  if (!known) throw Unsupported("the kind of mma");
  i.run = s.type(1).kind == Type::Kind::kBfloat ? &multiply<Bf16> : &multiply<Half>;
  vector_slots(slots, i, s.operands[0], 0, 4, true);
  vector_slots(slots, i, s.operands[1], 4, 4, false);
  vector_slots(slots, i, s.operands[2], 8, 2, false);
  vector_slots(slots, i, s.operands[3], 10, 4, false);
}

// Slots: one for each matrix; the lane that names a row is 8 * matrix + row.
template <bool Transposed>
void load_matrices(Warp& warp, const Instruction& i, std::uint32_t) {
  std::array<std::array<std::array<std::uint16_t, 8>, 8>, 4> matrix{};
  for (unsigned lane = 0; lane < 8 * i.count; ++lane) {
    const unsigned char* const row =
        resolve(warp, i, Space::kShared, lane, warp.address(i, 0, lane), 16, 16);
    std::memcpy(matrix[lane / 8][lane % 8].data(), row, 16);
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned row = lane / 4;
    const unsigned column = lane % 4 * 2;
    for (unsigned n = 0; n < i.count; ++n) {
      const auto& m = matrix[n];
      const std::uint32_t low = Transposed ? m[column][row] : m[row][column];
      const std::uint32_t high = Transposed ? m[column + 1][row] : m[row][column + 1];
      warp.cells<std::uint32_t>(i.slot[n])[lane] = low | high << 16U;
    }
  }
}

void decode_ldmatrix(Slots& slots, const Statement& s, Instruction& i) {
  const bool known = s.has("sync") && s.has("aligned") && s.has("m8n8") && s.has("b16") &&
                     (s.has("shared") || s.has("shared::cta")) && s.operands.size() == 2;
  if (!known) throw Unsupported("the kind of ldmatrix");
  i.run = s.has("trans") ? &load_matrices<true> : &load_matrices<false>;
  i.count = s.has("x4") ? 4 : s.has("x2") ? 2 : 1;
  vector_slots(slots, i, s.operands[0], 0, i.count, true);
  slots.address(i, 0, s.operands[1]);
}

}  // namespace

bool decode_matrix(Slots& slots, const Statement& s, Instruction& i) {
  if (s.opcode[0] == "mma") {
    decode_mma(slots, s, i);
  } else if (s.opcode[0] == "ldmatrix") {
    decode_ldmatrix(slots, s, i);
  } else {
    return false;
  }
  i.kind = Instruction::Kind::kGroup;
  return true;
}

}  // namespace varve::ptx
