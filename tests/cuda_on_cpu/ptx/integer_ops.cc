// Integer arithmetic.
#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

// Wide enough that a product of short numbers does not overflow, and unsigned, so that it may wrap.
template <class T>
using Wrapping = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

template <class T>
struct Twice;
template <>
struct Twice<std::uint8_t> {
  using type = std::uint16_t;
};
template <>
struct Twice<std::int8_t> {
  using type = std::int16_t;
};
template <>
struct Twice<std::uint16_t> {
  using type = std::uint32_t;
};
template <>
struct Twice<std::int16_t> {
  using type = std::int32_t;
};
template <>
struct Twice<std::uint32_t> {
  using type = std::uint64_t;
};
template <>
struct Twice<std::int32_t> {
  using type = std::int64_t;
};
__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;
template <>
struct Twice<std::uint64_t> {
  using type = Uint128;
};
template <>
struct Twice<std::int64_t> {
  using type = Int128;
};

template <class T>
typename Twice<T>::type full_product(T a, T b) {
  return static_cast<typename Twice<T>::type>(static_cast<typename Twice<T>::type>(a) *
                                              static_cast<typename Twice<T>::type>(b));
}

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
  }
};
struct Sub {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
  }
};
struct MulLow {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
  }
};
struct MulHigh {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(full_product(a, b) >> (8 * sizeof(T)));
  }
};
struct MulWide {
  template <class T>
  typename Twice<T>::type operator()(T a, T b) const {
    return full_product(a, b);
  }
};
template <class Product>
struct Mad {
  template <class T, class D>
  D operator()(T a, T b, D c) const {
    return Add{}(static_cast<D>(Product{}(a, b)), c);
  }
};
// Hardware gives all ones for a division by zero; here it is an error, see divide().
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return Sub{}(T{0}, a);
    }
    return static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <class T>
  T operator()(T a, T b) const {
    return std::min(a, b);
  }
};
struct Max {
  template <class T>
  T operator()(T a, T b) const {
    return std::max(a, b);
  }
};
struct Neg {
  template <class T>
  T operator()(T a) const {
    return Sub{}(T{0}, a);
  }
};
struct Abs {
  template <class T>
  T operator()(T a) const {
    return a < T{0} ? Sub{}(T{0}, a) : a;
  }
};
struct Sad {
  template <class T>
  T operator()(T a, T b, T c) const {
    return Add{}(a < b ? Sub{}(b, a) : Sub{}(a, b), c);
  }
};

template <class F, class T>
void divide(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const Cell<T>* const divisor = warp.cells<T>(i.slot[2]);
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if ((lanes >> lane & 1U) != 0 && divisor[lane] == 0) warp.fail(i, lane, "division by zero");
  }
  lanewise<F, T, T, T>(warp, i, lanes);
}

template <class F>
Handler unary(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler { return &lanewise<F, T, T>; });
}
template <class F>
Handler binary(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler { return &lanewise<F, T, T, T>; });
}
template <class F>
Handler ternary(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler { return &lanewise<F, T, T, T, T>; });
}
template <class F>
Handler division(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler { return &divide<F, T>; });
}
Handler wide_product(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler {
    if constexpr (sizeof(T) == 8) {
      return nullptr;
    } else {
      return &lanewise<MulWide, typename Twice<T>::type, T, T>;
    }
  });
}
Handler wide_mad(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler {
    if constexpr (sizeof(T) == 8) {
      return nullptr;
    } else {
      using D = typename Twice<T>::type;
      return &lanewise<Mad<MulWide>, D, T, T, D>;
    }
  });
}

const std::map<std::string, Handler (*)(Type)> kUnary = {{"neg", &unary<Neg>},
                                                         {"abs", &unary<Abs>}};
const std::map<std::string, Handler (*)(Type)> kBinary = {
    {"add", &binary<Add>}, {"sub", &binary<Sub>},   {"min", &binary<Min>},
    {"max", &binary<Max>}, {"div", &division<Div>}, {"rem", &division<Rem>},
};

bool multiply(Slots& slots, const Statement& s, Instruction& i, Type type) {
  const bool mad = s.opcode[0] == "mad";
  if (s.has("wide")) {
    i.run = mad ? wide_mad(type) : wide_product(type);
    if (mad) {
      slots.operands(i, s, {2 * type.bits, type.bits, type.bits, 2 * type.bits});
    } else {
      slots.operands(i, s, {2 * type.bits, type.bits, type.bits});
    }
    return true;
  }
  const bool high = s.has("hi");
  if (mad) {
    i.run = high ? ternary<Mad<MulHigh>>(type) : ternary<Mad<MulLow>>(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits, type.bits});
  } else {
    i.run = high ? binary<MulHigh>(type) : binary<MulLow>(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits});
  }
  return true;
}

}  // namespace

bool decode_integer(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  const Type type = s.type();
  if (type.is_float() || type.kind == Type::Kind::kPredicate || type.count != 1) return false;
  if (op == "mul" || op == "mad") {
    refuse(s, {"cc", "sat"});
    return multiply(slots, s, i, type);
  }
  if (const auto found = kUnary.find(op); found != kUnary.end()) {
    i.run = found->second(type);
    slots.operands(i, s, {type.bits, type.bits});
  } else if (const auto other = kBinary.find(op); other != kBinary.end()) {
    refuse(s, {"cc", "sat", "relu"});
    i.run = other->second(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits});
  } else if (op == "sad") {
    i.run = ternary<Sad>(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits, type.bits});
  } else {
    return false;
  }
  return true;
}

}  // namespace varve::ptx
