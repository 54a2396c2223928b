// Handlers made of a function of one lane's values.
#pragma once

#include <cfenv>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "tests/cuda_on_cpu/ptx/cells.h"
#include "tests/cuda_on_cpu/ptx/decode.h"
#include "tests/cuda_on_cpu/ptx/machine.h"
#include "tests/cuda_on_cpu/ptx/rounding.h"

namespace varve::ptx {

/// Slot 0 = F{}(slots 1, 2, ...), with values of the types D and S.
template <class F, class D, class... S>
void lanewise(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  [&]<std::size_t... N>(std::index_sequence<N...>) {
    Cell<D>* const d = warp.cells<D>(i.slot[0]);
    const auto run = [&](const Cell<S>*... s) {
      each_lane(lanes, [=](unsigned lane) { d[lane] = to_cell<D>(F{}(from_cell<S>(s[lane])...)); });
    };
    run(warp.cells<S>(i.slot[N + 1])...);
  }
  (std::index_sequence_for<S...>{});
}

/// The handler under another rounding of the processor.
template <int Mode, Handler H>
void rounded(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const RoundingScope scope(Mode);
  H(warp, i, lanes);
}

template <class T>
struct TypeTag {
  using type = T;
};

/// visit(TypeTag<T>) for the C++ type of an integer or bits type; nullptr for others.
template <class Visit>
Handler for_integer(Type type, Visit visit) {
  if (type.is_float() || type.count != 1) return nullptr;
  const bool is_signed = type.kind == Type::Kind::kSigned;
  switch (type.bits) {
    case 8:
      return is_signed ? visit(TypeTag<std::int8_t>{}) : visit(TypeTag<std::uint8_t>{});
    case 16:
      return is_signed ? visit(TypeTag<std::int16_t>{}) : visit(TypeTag<std::uint16_t>{});
    case 32:
      return is_signed ? visit(TypeTag<std::int32_t>{}) : visit(TypeTag<std::uint32_t>{});
    case 64:
      return is_signed ? visit(TypeTag<std::int64_t>{}) : visit(TypeTag<std::uint64_t>{});
    default:
      return nullptr;
  }
}

/// The same for float types that are not packed.
template <class Visit>
Handler for_float(Type type, Visit visit) {
  if (!type.is_float() || type.count != 1) return nullptr;
  if (type.kind == Type::Kind::kBfloat) return visit(TypeTag<Bf16>{});
  switch (type.bits) {
    case 16:
      return visit(TypeTag<Half>{});
    case 32:
      return visit(TypeTag<float>{});
    case 64:
      return visit(TypeTag<double>{});
    default:
      return nullptr;
  }
}

/// FE_* of the words rn, rz, rm, rp in an opcode; nearest if there is none.
inline int rounding_mode(const Statement& s) {
  if (s.has("rz") || s.has("rzi")) return FE_TOWARDZERO;
  if (s.has("rm") || s.has("rmi")) return FE_DOWNWARD;
  if (s.has("rp") || s.has("rpi")) return FE_UPWARD;
  return FE_TONEAREST;
}

inline void refuse(const Statement& s, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (s.has(word)) throw Unsupported(std::string("qualifier .") + word);
  }
}

}  // namespace varve::ptx
