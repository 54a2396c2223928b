// Loads and stores.
#include <algorithm>
#include <cstring>

#include "tests/cuda_on_cpu/ptx/handlers.h"
#include "tests/cuda_on_cpu/ptx/memory.h"

namespace varve::ptx {
namespace {

// Instruction::extra: the space, and above it the bits of the register.
constexpr unsigned kRegisterShift = 8;

Space space(const Instruction& i) {
  return static_cast<Space>(i.extra & 0xffU);
}

template <class T>
unsigned char* place(Warp& warp, const Instruction& i, unsigned lane) {
  const std::size_t bytes = sizeof(T) * i.count;
  return resolve(warp, i, space(i), lane, warp.address(i, 0, lane), bytes, bytes);
}

template <class T>
void load(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t bits = i.extra >> kRegisterShift;
  const std::uint32_t mask = bits >= 32 ? ~0U : (1U << bits) - 1;
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    const unsigned char* const from = place<T>(warp, i, lane);
    for (std::uint32_t n = 0; n < i.count; ++n) {
      T value;
      std::memcpy(&value, from + n * sizeof(T), sizeof(T));
      if (bits == 64) {
        warp.cells<std::uint64_t>(i.slot[n])[lane] = static_cast<std::uint64_t>(value);
      } else {
        warp.cells<std::uint32_t>(i.slot[n])[lane] = static_cast<std::uint32_t>(value) & mask;
      }
    }
  }
}

template <class T>
void store(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const bool wide = i.extra >> kRegisterShift == 64;
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    unsigned char* const to = place<T>(warp, i, lane);
    for (std::uint32_t n = 0; n < i.count; ++n) {
      const T value = static_cast<T>(wide ? warp.cells<std::uint64_t>(i.slot[n])[lane]
                                          : warp.cells<std::uint32_t>(i.slot[n])[lane]);
      std::memcpy(to + n * sizeof(T), &value, sizeof(T));
    }
  }
}

std::uint32_t vector_size(const Statement& s) {
  return s.has("v8") ? 8 : s.has("v4") ? 4 : s.has("v2") ? 2 : 1;
}

// The words' type as bits that are kept (stores) or extended (loads).
Type integer_type(Type type, bool loads) {
  if (!loads || type.kind != Type::Kind::kSigned) type.kind = Type::Kind::kUnsigned;
  type.bits *= type.count;
  type.count = 1;
  return type;
}

void decode_data(Slots& slots, Instruction& i, const Operand& data, unsigned bits, bool loads) {
  const bool vector = data.kind == Operand::Kind::kVector;
  if ((vector ? data.parts.size() : 1) != i.count) throw Unsupported("a vector of another size");
  const Operand* const parts = vector ? data.parts.data() : &data;
  unsigned width = 0;
  for (std::uint32_t n = 0; n < i.count; ++n) width = std::max(width, slots.bits(parts[n], bits));
  for (std::uint32_t n = 0; n < i.count; ++n) {
    i.slot[n] = loads ? slots.out(parts[n], width) : slots.in(parts[n], width);
  }
  i.extra |= width << kRegisterShift;
}

}  // namespace

bool decode_memory(Slots& slots, const Statement& s, Instruction& i) {
  const bool loads = s.opcode[0] == "ld" || s.opcode[0] == "ldu";
  if (!loads && s.opcode[0] != "st") return false;
  if (s.operands.size() != 2) throw Unsupported("another number of operands");
  const Type type = integer_type(s.type(), loads);
  i.count = vector_size(s);
  i.extra = static_cast<std::uint32_t>(space_of(s));
  i.run = for_integer(
      type, [loads]<class T>(TypeTag<T>) -> Handler { return loads ? &load<T> : &store<T>; });
  slots.address(i, 0, s.operands[loads ? 1 : 0]);
  decode_data(slots, i, s.operands[loads ? 0 : 1], type.bits, loads);
  return true;
}

}  // namespace varve::ptx
