// Arithmetic of f16 and bf16, single and in pairs. One rounding for each operation: sums and
// products of two such numbers need no more bits than a double has, or so many that a second
// rounding does no harm; see fused() for the rest.
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return narrow<T>(widen(a) + widen(b));
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return narrow<T>(widen(a) - widen(b));
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return narrow<T>(widen(a) * widen(b));
  }
};
struct Fma {
  template <class T>
  T operator()(T a, T b, T c) const {
    return narrow<T>(fused(widen(a), widen(b), widen(c)));
  }
};
template <bool Greatest>
struct Extreme {
  template <class T>
  T operator()(T a, T b) const {
    const double x = widen(a);
    const double y = widen(b);
    if (std::isnan(x)) return std::isnan(y) ? T{0x7fff} : b;
    if (std::isnan(y)) return a;
    const bool less = x < y || (x == y && std::signbit(x));
    return less != Greatest ? a : b;
  }
};
template <bool Greatest>
struct ExtremeOrNan {
  template <class T>
  T operator()(T a, T b) const {
    const bool nan = std::isnan(widen(a)) || std::isnan(widen(b));
    return nan ? T{0x7fff} : Extreme<Greatest>{}(a, b);
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return T{static_cast<std::uint16_t>(a.bits ^ 0x8000U)};
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    return T{static_cast<std::uint16_t>(a.bits & 0x7fffU)};
  }
};
struct Exp2 {
  template <class T>
  T operator()(T a) const {
    return narrow<T>(std::exp2(widen(a)));
  }
};
struct Tanh {
  template <class T>
  T operator()(T a) const {
    return narrow<T>(std::tanh(widen(a)));
  }
};

template <class F, class T>
struct Pairs {
  template <class... U>
  std::uint32_t operator()(U... a) const {
    const T low = F{}(T{static_cast<std::uint16_t>(a)}...);
    const T high = F{}(T{static_cast<std::uint16_t>(a >> 16U)}...);
    return static_cast<std::uint32_t>(high.bits) << 16U | low.bits;
  }
};

template <class F, class T, std::size_t Inputs>
Handler pick_of(bool pair) {
  using U = std::uint32_t;
  if constexpr (Inputs == 1) return pair ? &lanewise<Pairs<F, T>, U, U> : &lanewise<F, T, T>;
  if constexpr (Inputs == 2) return pair ? &lanewise<Pairs<F, T>, U, U, U> : &lanewise<F, T, T, T>;
  if constexpr (Inputs == 3) {
    return pair ? &lanewise<Pairs<F, T>, U, U, U, U> : &lanewise<F, T, T, T, T>;
  }
}

template <class F, std::size_t Inputs>
Handler pick(Type type) {
  const bool pair = type.count == 2;
  return type.kind == Type::Kind::kBfloat ? pick_of<F, Bf16, Inputs>(pair)
                                          : pick_of<F, Half, Inputs>(pair);
}

struct Entry {
  Handler (*pick)(Type);
  std::size_t inputs;
};

const std::map<std::string, Entry> kEntries = {
    {"add", {&pick<Add, 2>, 2}},
    {"sub", {&pick<Sub, 2>, 2}},
    {"mul", {&pick<Mul, 2>, 2}},
    {"fma", {&pick<Fma, 3>, 3}},
    {"min", {&pick<Extreme<false>, 2>, 2}},
    {"max", {&pick<Extreme<true>, 2>, 2}},
    {"neg", {&pick<Neg, 1>, 1}},
    {"abs", {&pick<Abs, 1>, 1}},
    {"ex2", {&pick<Exp2, 1>, 1}},
    {"tanh", {&pick<Tanh, 1>, 1}},
};

}  // namespace

bool decode_half(Slots& slots, const Statement& s, Instruction& i) {
  const Type type = s.type();
  if (!type.is_float() || type.bits != 16) return false;
  const std::string& op = s.opcode[0];
  const auto entry = kEntries.find(op);
  if (entry == kEntries.end()) return false;
  refuse(s, {"sat", "relu", "oob", "abs", "xorsign", "rz", "rm", "rp"});
  i.run = entry->second.pick(type);
  if (s.has("NaN")) {
    i.run = op == "min" ? pick<ExtremeOrNan<false>, 2>(type) : pick<ExtremeOrNan<true>, 2>(type);
  }
  const unsigned bits = type.bits * type.count;
  switch (entry->second.inputs) {
    case 1:
      slots.operands(i, s, {bits, bits});
      break;
    case 2:
      slots.operands(i, s, {bits, bits, bits});
      break;
    default:
      slots.operands(i, s, {bits, bits, bits, bits});
      break;
  }
  return true;
}

}  // namespace varve::ptx
