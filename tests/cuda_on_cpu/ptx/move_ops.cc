// mov (also of vectors to and from one register), and addresses from one space to another.
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

struct Same {
  template <class T>
  T operator()(T a) const {
    return a;
  }
};

// Register 0 from the parts in slots 1, 2, ..., the first one lowest. Instruction::extra: the bits
// of a part.
template <class T>
void pack(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  T* const d = warp.cells<T>(i.slot[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    std::uint64_t value = 0;
    for (std::uint32_t n = 0; n < i.count; ++n) {
      const std::uint64_t part = warp.cells<std::uint32_t>(i.slot[n + 1])[lane];
      value |= (part & ((std::uint64_t{1} << i.extra) - 1)) << (n * i.extra);
    }
    d[lane] = static_cast<T>(value);
  }
}

template <class T>
void unpack(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const T* const source = warp.cells<T>(i.slot[i.count]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    const std::uint64_t value = source[lane];
    for (std::uint32_t n = 0; n < i.count; ++n) {
      const std::uint64_t part = value >> (n * i.extra) & ((std::uint64_t{1} << i.extra) - 1);
      warp.cells<std::uint32_t>(i.slot[n])[lane] = static_cast<std::uint32_t>(part);
    }
  }
}

void set_up_parts(Instruction& i, unsigned bits, const Operand& vector) {
  i.count = static_cast<std::uint32_t>(vector.parts.size());
  if (i.count != 2 && i.count != 4) throw Unsupported("a vector of another size");
  i.extra = bits / i.count;
  if (i.extra > 32) throw Unsupported("a vector of long numbers");
}

bool decode_mov(Slots& slots, const Statement& s, Instruction& i) {
  const unsigned bits = s.type().bytes() * 8;
  if (s.operands.size() != 2) throw Unsupported("another number of operands");
  const Operand& to = s.operands[0];
  const Operand& from = s.operands[1];
  if (from.kind == Operand::Kind::kVector) {
    set_up_parts(i, bits, from);
    i.run = bits == 64 ? &pack<std::uint64_t> : &pack<std::uint32_t>;
    i.slot[0] = slots.out(to, bits);
    for (std::uint32_t n = 0; n < i.count; ++n) i.slot[n + 1] = slots.in(from.parts[n], i.extra);
  } else if (to.kind == Operand::Kind::kVector) {
    set_up_parts(i, bits, to);
    i.run = bits == 64 ? &unpack<std::uint64_t> : &unpack<std::uint32_t>;
    for (std::uint32_t n = 0; n < i.count; ++n) i.slot[n] = slots.out(to.parts[n], i.extra);
    i.slot[i.count] = slots.in(from, bits);
  } else {
    using Long = std::uint64_t;
    using Word = std::uint32_t;
    i.run = bits == 64 ? &lanewise<Same, Long, Long> : &lanewise<Same, Word, Word>;
    slots.operands(i, s, {bits, bits});
  }
  return true;
}

// Generic addresses of shared and local memory are where these lie in the host's memory.
template <bool ToGeneric, Space S>
void convert_address(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  std::uint64_t* const d = warp.cells<std::uint64_t>(i.slot[0]);
  const std::uint64_t* const a = warp.cells<std::uint64_t>(i.slot[1]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    const unsigned char* const begin =
        S == Space::kShared ? warp.block().shared()
                            : warp.block().local(std::size_t{warp.index()} * kLanes + lane);
    const auto base = reinterpret_cast<std::uint64_t>(begin);
    d[lane] = ToGeneric ? a[lane] + base : a[lane] - base;
  }
}

bool decode_cvta(Slots& slots, const Statement& s, Instruction& i) {
  if (s.type().bits != 64) throw Unsupported("an address of 32 bits");
  slots.operands(i, s, {64, 64});
  const bool to_space = s.has("to");
  if (s.has("shared") || s.has("shared::cta")) {
    i.run =
        to_space ? &convert_address<false, Space::kShared> : &convert_address<true, Space::kShared>;
  } else if (s.has("local")) {
    i.run =
        to_space ? &convert_address<false, Space::kLocal> : &convert_address<true, Space::kLocal>;
  } else {
    i.run = &lanewise<Same, std::uint64_t, std::uint64_t>;
  }
  return true;
}

}  // namespace

bool decode_move(Slots& slots, const Statement& s, Instruction& i) {
  if (s.opcode[0] == "cvta") return decode_cvta(slots, s, i);
  return s.opcode[0] == "mov" && s.type().kind != Type::Kind::kPredicate && decode_mov(slots, s, i);
}

}  // namespace varve::ptx
