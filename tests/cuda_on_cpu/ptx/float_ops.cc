// Arithmetic of f32 and f64. Approximations (ex2, rsqrt, ...) are the host's functions: closer to
// the truth than the hardware's.
#include <cfenv>
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
    return a + b;
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return a - b;
  }
};
struct Mul {
  template <class T>
  T operator()(T a, T b) const {
    return a * b;
  }
};
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    return a / b;
  }
};
struct Fma {
  template <class T>
  T operator()(T a, T b, T c) const {
    return std::fma(a, b, c);
  }
};
// A number beats a NaN, and -0 is less than 0.
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    if (std::isnan(a)) return b;
    return a < b || (a == b && std::signbit(a)) || std::isnan(b) ? a : b;
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    if (std::isnan(a)) return b;
    return a > b || (a == b && !std::signbit(a)) || std::isnan(b) ? a : b;
  }
};
template <class F>
struct WithNan {
  template <class T>
  T operator()(T a, T b) const {
    const bool nan = std::isnan(a) || std::isnan(b);
    return nan ? std::numeric_limits<T>::quiet_NaN() : F{}(a, b);
  }
};
struct CopySign {  // the first one's sign, the second one's magnitude
  template <class T>
  T operator()(T a, T b) const {
    return std::copysign(b, a);
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return -a;
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    return std::fabs(a);
  }
};
struct Exp2 {
  template <class T>
  T operator()(T a) const {
    return std::exp2(a);
  }
};
struct Log2 {
  template <class T>
  T operator()(T a) const {
    return std::log2(a);
  }
};
struct Reciprocal {
  template <class T>
  T operator()(T a) const {
    return T{1} / a;
  }
};
struct Sqrt {
  template <class T>
  T operator()(T a) const {
    return std::sqrt(a);
  }
};
struct ReciprocalSqrt {
  template <class T>
  T operator()(T a) const {
    return T{1} / std::sqrt(a);
  }
};
struct Sin {
  template <class T>
  T operator()(T a) const {
    return std::sin(a);
  }
};
struct Cos {
  template <class T>
  T operator()(T a) const {
    return std::cos(a);
  }
};
struct Tanh {
  template <class T>
  T operator()(T a) const {
    return std::tanh(a);
  }
};

/// Subnormal numbers are zeros, with their sign.
float flush(float a) {
  return std::fabs(a) < std::numeric_limits<float>::min() ? std::copysign(0.0F, a) : a;
}
template <class F, bool Flush, bool Saturate>
struct Modified {
  template <class... T>
  float operator()(T... a) const {
    float result = Flush ? flush(F{}(flush(a)...)) : F{}(a...);
    // Written so that NaN becomes 0, as saturation has it.
    if (Saturate) result = result > 0 ? std::fmin(result, 1.0F) : 0.0F;
    return result;
  }
};

template <class F, class T, std::size_t Inputs>
constexpr Handler handler() {
  static_assert(Inputs >= 1 && Inputs <= 3);
  if constexpr (Inputs == 1) return &lanewise<F, T, T>;
  if constexpr (Inputs == 2) return &lanewise<F, T, T, T>;
  if constexpr (Inputs == 3) return &lanewise<F, T, T, T, T>;
}

template <class F, std::size_t Inputs>
Handler pick(const Statement& s) {
  if (s.type().bits == 64) return handler<F, double, Inputs>();
  const bool flushed = s.has("ftz");
  if (s.has("sat")) {
    return flushed ? handler<Modified<F, true, true>, float, Inputs>()
                   : handler<Modified<F, false, true>, float, Inputs>();
  }
  return flushed ? handler<Modified<F, true, false>, float, Inputs>() : handler<F, float, Inputs>();
}

template <int Mode, class F, std::size_t Inputs>
Handler pick_directed(const Statement& s) {
  if (s.has("sat")) throw Unsupported("saturation in another rounding than to nearest");
  if (s.type().bits == 64) return &rounded<Mode, handler<F, double, Inputs>()>;
  return s.has("ftz") ? &rounded<Mode, handler<Modified<F, true, false>, float, Inputs>()>
                      : &rounded<Mode, handler<F, float, Inputs>()>;
}

template <class F, std::size_t Inputs>
Handler pick_rounded(const Statement& s) {
  switch (rounding_mode(s)) {
    case FE_TOWARDZERO:
      return pick_directed<FE_TOWARDZERO, F, Inputs>(s);
    case FE_DOWNWARD:
      return pick_directed<FE_DOWNWARD, F, Inputs>(s);
    case FE_UPWARD:
      return pick_directed<FE_UPWARD, F, Inputs>(s);
    default:
      return pick<F, Inputs>(s);
  }
}

template <class F>
Handler pick_extreme(const Statement& s) {
  refuse(s, {"xorsign", "abs"});
  return s.has("NaN") ? pick<WithNan<F>, 2>(s) : pick<F, 2>(s);
}

struct Entry {
  Handler (*pick)(const Statement&);
  std::size_t inputs;
};

const std::map<std::string, Entry> kEntries = {
    {"add", {&pick_rounded<Add, 2>, 2}},
    {"sub", {&pick_rounded<Sub, 2>, 2}},
    {"mul", {&pick_rounded<Mul, 2>, 2}},
    {"div", {&pick_rounded<Div, 2>, 2}},
    {"fma", {&pick_rounded<Fma, 3>, 3}},
    {"mad", {&pick_rounded<Fma, 3>, 3}},
    {"rcp", {&pick_rounded<Reciprocal, 1>, 1}},
    {"sqrt", {&pick_rounded<Sqrt, 1>, 1}},
    {"min", {&pick_extreme<Min>, 2}},
    {"max", {&pick_extreme<Max>, 2}},
    {"copysign", {&pick<CopySign, 2>, 2}},
    {"neg", {&pick<Neg, 1>, 1}},
    {"abs", {&pick<Abs, 1>, 1}},
    {"ex2", {&pick<Exp2, 1>, 1}},
    {"lg2", {&pick<Log2, 1>, 1}},
    {"rsqrt", {&pick<ReciprocalSqrt, 1>, 1}},
    {"sin", {&pick<Sin, 1>, 1}},
    {"cos", {&pick<Cos, 1>, 1}},
    {"tanh", {&pick<Tanh, 1>, 1}},
};

}  // namespace

bool decode_float(Slots& slots, const Statement& s, Instruction& i) {
  const Type type = s.type();
  if (type.kind != Type::Kind::kFloat || type.bits < 32 || type.count != 1) return false;
  const auto entry = kEntries.find(s.opcode[0]);
  if (entry == kEntries.end()) return false;
  i.run = entry->second.pick(s);
  switch (entry->second.inputs) {
    case 1:
      slots.operands(i, s, {type.bits, type.bits});
      break;
    case 2:
      slots.operands(i, s, {type.bits, type.bits, type.bits});
      break;
    default:
      slots.operands(i, s, {type.bits, type.bits, type.bits, type.bits});
      break;
  }
  return true;
}

}  // namespace varve::ptx
