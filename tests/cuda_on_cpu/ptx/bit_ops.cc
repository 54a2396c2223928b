// Bits: logic, shifts, fields, bytes, counts.
#include <algorithm>
#include <bit>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

template <class T>
constexpr std::uint32_t kBits = 8 * sizeof(T);

struct And {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};
struct Not {
  template <class T>
  T operator()(T a) const {
    return static_cast<T>(~a);
  }
};
struct LogicalNot {
  template <class T>
  T operator()(T a) const {
    return a == 0 ? 1 : 0;
  }
};
struct ShiftLeft {
  template <class T>
  T operator()(T a, std::uint32_t n) const {
    return n >= kBits<T> ? T{0} : static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) << n);
  }
};
struct ShiftRight {
  template <class T>
  T operator()(T a, std::uint32_t n) const {
    if constexpr (std::is_signed_v<T>) return static_cast<T>(a >> std::min(n, kBits<T> - 1));
    return n >= kBits<T> ? T{0} : static_cast<T>(a >> n);
  }
};
struct CountOnes {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(std::popcount(static_cast<std::make_unsigned_t<T>>(a)));
  }
};
struct LeadingZeros {
  template <class T>
  std::uint32_t operator()(T a) const {
    return static_cast<std::uint32_t>(std::countl_zero(static_cast<std::make_unsigned_t<T>>(a)));
  }
};
// Place of the highest bit that differs from the sign; all ones if there is none.
template <bool ShiftAmount>
struct FindHighest {
  template <class T>
  std::uint32_t operator()(T a) const {
    const auto bits = static_cast<std::make_unsigned_t<T>>(a < T{0} ? static_cast<T>(~a) : a);
    const auto zeros = static_cast<std::uint32_t>(std::countl_zero(bits));
    if (zeros == kBits<T>) return ~std::uint32_t{0};
    return ShiftAmount ? zeros : kBits<T> - 1 - zeros;
  }
};
struct Reverse {
  template <class T>
  T operator()(T a) const {
    T result = 0;
    for (std::uint32_t bit = 0; bit < kBits<T>; ++bit) {
      result = static_cast<T>(result << 1U | (a >> bit & 1U));
    }
    return result;
  }
};

template <class U>
U low_mask(std::uint32_t bits) {
  return bits >= kBits<U> ? static_cast<U>(~U{0}) : static_cast<U>((U{1} << bits) - 1);
}

struct Extract {
  template <class T>
  T operator()(T a, std::uint32_t place, std::uint32_t length) const {
    using U = std::make_unsigned_t<T>;
    place &= 0xffU;
    length &= 0xffU;
    if (length == 0) return 0;
    const U field = ShiftRight{}(static_cast<U>(a), place) & low_mask<U>(length);
    if constexpr (std::is_signed_v<T>) {
      const std::uint32_t sign = std::min(place + length - 1, kBits<T> - 1);
      const U fill = (static_cast<U>(a) >> sign & 1U) != 0 ? static_cast<U>(~U{0}) : U{0};
      // Bits of the field beyond the number's end are its sign, too.
      const std::uint32_t there = std::min(length, kBits<T> - std::min(place, kBits<T>));
      const U mask = low_mask<U>(there);
      return static_cast<T>((field & mask) | (fill & static_cast<U>(~mask)));
    }
    return static_cast<T>(field);
  }
};
struct Insert {
  template <class T>
  T operator()(T field, T into, std::uint32_t place, std::uint32_t length) const {
    place &= 0xffU;
    const T mask = ShiftLeft{}(low_mask<T>(length & 0xffU), place);
    return static_cast<T>((into & ~mask) | (ShiftLeft{}(field, place) & mask));
  }
};
template <bool Left, bool Wrap>
struct FunnelShift {
  std::uint32_t operator()(std::uint32_t low, std::uint32_t high, std::uint32_t n) const {
    const std::uint64_t both = std::uint64_t{high} << 32U | low;
    n = Wrap ? n & 31U : std::min(n, 32U);
    return static_cast<std::uint32_t>(Left ? (both << n) >> 32U : both >> n);
  }
};
struct Permute {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t which) const {
    const std::uint64_t bytes = std::uint64_t{b} << 32U | a;
    std::uint32_t result = 0;
    for (unsigned n = 0; n < 4; ++n) {
      const std::uint32_t choice = which >> (4 * n) & 0xfU;
      std::uint32_t byte = static_cast<std::uint32_t>(bytes >> (8 * (choice & 7U))) & 0xffU;
      if ((choice & 8U) != 0) byte = (byte & 0x80U) != 0 ? 0xffU : 0;
      result |= byte << (8 * n);
    }
    return result;
  }
};
template <bool SignedA, bool SignedB>
struct DotBytes {
  std::uint32_t operator()(std::uint32_t a, std::uint32_t b, std::uint32_t c) const {
    for (unsigned n = 0; n < 32; n += 8) {
      const auto x = static_cast<std::uint8_t>(a >> n);
      const auto y = static_cast<std::uint8_t>(b >> n);
      const std::int32_t left = SignedA ? static_cast<std::int8_t>(x) : x;
      const std::int32_t right = SignedB ? static_cast<std::int8_t>(y) : y;
      c += static_cast<std::uint32_t>(left * right);
    }
    return c;
  }
};

// Any function of three bits, by its table of eight.
void lookup3(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  std::uint32_t* const d = warp.cells<std::uint32_t>(i.slot[0]);
  const std::uint32_t* const a = warp.cells<std::uint32_t>(i.slot[1]);
  const std::uint32_t* const b = warp.cells<std::uint32_t>(i.slot[2]);
  const std::uint32_t* const c = warp.cells<std::uint32_t>(i.slot[3]);
  std::uint32_t row[8];
  for (unsigned n = 0; n < 8; ++n) row[n] = (i.extra >> n & 1U) != 0 ? ~0U : 0;
  each_lane(lanes, [=](unsigned lane) {
    const std::uint32_t x = a[lane];
    const std::uint32_t y = b[lane];
    const std::uint32_t z = c[lane];
    d[lane] =
        (~x & ((~y & ((~z & row[0]) | (z & row[1]))) | (y & ((~z & row[2]) | (z & row[3]))))) |
        (x & ((~y & ((~z & row[4]) | (z & row[5]))) | (y & ((~z & row[6]) | (z & row[7])))));
  });
}

template <class F>
Handler same(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler {
    using U = std::make_unsigned_t<T>;
    if constexpr (std::is_invocable_v<F, U, U>) {
      return &lanewise<F, U, U, U>;
    } else {
      return &lanewise<F, U, U>;
    }
  });
}
template <class F>
Handler shift(Type type) {
  return for_integer(
      type, []<class T>(TypeTag<T>) -> Handler { return &lanewise<F, T, T, std::uint32_t>; });
}
template <class F>
Handler count(Type type) {
  return for_integer(type,
                     []<class T>(TypeTag<T>) -> Handler { return &lanewise<F, std::uint32_t, T>; });
}

using Pick = Handler (*)(Type);
const std::map<std::string, Pick> kUnary = {
    {"not", &same<Not>}, {"cnot", &same<LogicalNot>}, {"brev", &same<Reverse>}};
const std::map<std::string, Pick> kBinary = {
    {"and", &same<And>}, {"or", &same<Or>}, {"xor", &same<Xor>}};
const std::map<std::string, Pick> kShifts = {{"shl", &shift<ShiftLeft>},
                                             {"shr", &shift<ShiftRight>}};
const std::map<std::string, Pick> kCounts = {{"popc", &count<CountOnes>},
                                             {"clz", &count<LeadingZeros>}};

bool decode_simple(Slots& slots, const Statement& s, Instruction& i, Type type) {
  const std::string& op = s.opcode[0];
  if (const auto one = kUnary.find(op); one != kUnary.end()) {
    i.run = one->second(type);
    slots.operands(i, s, {type.bits, type.bits});
  } else if (const auto two = kBinary.find(op); two != kBinary.end()) {
    i.run = two->second(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits});
  } else if (const auto by = kShifts.find(op); by != kShifts.end()) {
    i.run = by->second(type);
    slots.operands(i, s, {type.bits, type.bits, 32});
  } else if (const auto of = kCounts.find(op); of != kCounts.end()) {
    i.run = of->second(type);
    slots.operands(i, s, {32, type.bits});
  } else {
    return false;
  }
  return true;
}

Handler funnel(const Statement& s) {
  const bool wrap = s.has("wrap");
  if (s.has("l")) {
    return wrap ? &lanewise<FunnelShift<true, true>, std::uint32_t, std::uint32_t, std::uint32_t,
                            std::uint32_t>
                : &lanewise<FunnelShift<true, false>, std::uint32_t, std::uint32_t, std::uint32_t,
                            std::uint32_t>;
  }
  return wrap ? &lanewise<FunnelShift<false, true>, std::uint32_t, std::uint32_t, std::uint32_t,
                          std::uint32_t>
              : &lanewise<FunnelShift<false, false>, std::uint32_t, std::uint32_t, std::uint32_t,
                          std::uint32_t>;
}

template <bool A, bool B>
constexpr Handler kDot =
    &lanewise<DotBytes<A, B>, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;

Handler dot(const Statement& s) {
  const bool a = s.type(1).kind == Type::Kind::kSigned;
  const bool b = s.type(0).kind == Type::Kind::kSigned;
  return a   ? (b ? kDot<true, true> : kDot<true, false>)
         : b ? kDot<false, true>
             : kDot<false, false>;
}

bool decode_words(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  if (op == "shf") {
    i.run = funnel(s);
  } else if (op == "dp4a") {
    i.run = dot(s);
  } else if (op == "prmt") {
    if (s.opcode.size() != 2) throw Unsupported("prmt with a mode");
    i.run = &lanewise<Permute, std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;
  } else {
    return false;
  }
  slots.operands(i, s, {32, 32, 32, 32});
  return true;
}

}  // namespace

bool decode_bits(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  const Type type = s.type();
  if (type.is_float() || type.kind == Type::Kind::kPredicate || type.count != 1) return false;
  if (decode_simple(slots, s, i, type) || decode_words(slots, s, i)) return true;
  if (op == "lop3") {
    if (s.opcode.size() != 2) throw Unsupported("lop3 with a predicate");
    i.run = &lookup3;
    slots.operands(i, s, {32, 32, 32, 32, 32});
    i.extra = static_cast<std::uint32_t>(Slots::number(s.operands[4]));
  } else if (op == "bfe") {
    i.run = for_integer(type, []<class T>(TypeTag<T>) -> Handler {
      return &lanewise<Extract, T, T, std::uint32_t, std::uint32_t>;
    });
    slots.operands(i, s, {type.bits, type.bits, 32, 32});
  } else if (op == "bfi") {
    i.run = for_integer(type, []<class T>(TypeTag<T>) -> Handler {
      using U = std::make_unsigned_t<T>;
      return &lanewise<Insert, U, U, U, std::uint32_t, std::uint32_t>;
    });
    slots.operands(i, s, {type.bits, type.bits, type.bits, 32, 32});
  } else if (op == "bfind") {
    i.run = s.has("shiftamt") ? count<FindHighest<true>>(type) : count<FindHighest<false>>(type);
    slots.operands(i, s, {32, type.bits});
  } else {
    return false;
  }
  return true;
}

}  // namespace varve::ptx
