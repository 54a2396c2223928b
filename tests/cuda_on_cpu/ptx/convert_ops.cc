// cvt: between all numbers, in all roundings.
#include <cfenv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

// What Instruction::extra says of a conversion. Instruction::count: the bits of its destination.
constexpr std::uint32_t kFlush = 1;     // .ftz
constexpr std::uint32_t kSaturate = 2;  // .sat
constexpr std::uint32_t kIntegral = 4;  // .rni, .rzi, ...
constexpr unsigned kModeShift = 8;      // FE_*

struct How {
  std::uint32_t flags = 0;
  int mode = FE_TONEAREST;

  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

double round_integral(double value, int mode) {
  switch (mode) {
    case FE_TOWARDZERO:
      return std::trunc(value);
    case FE_DOWNWARD:
      return std::floor(value);
    case FE_UPWARD:
      return std::ceil(value);
    default:
      break;
  }
  // Not std::rint: that depends on the mode of the processor.
  const double below = std::floor(value);
  const double rest = value - below;
  const bool up = rest > 0.5 || (rest == 0.5 && std::fmod(below, 2) != 0);
  return std::copysign(up ? below + 1 : below, value);
}

template <class T>
double to_double(T value) {
  if constexpr (is_small_float<T>) {
    return widen(value);
  } else {
    return static_cast<double>(value);
  }
}

double flush(double value, bool is_f32) {
  const bool subnormal = is_f32 && std::fabs(value) < double{std::numeric_limits<float>::min()};
  return subnormal ? std::copysign(0.0, value) : value;
}

template <class D, class S>
D integer_to_integer(S value, How how) {
  if (!how.has(kSaturate)) return static_cast<D>(value);
  if (std::cmp_less(value, std::numeric_limits<D>::min())) return std::numeric_limits<D>::min();
  if (std::cmp_greater(value, std::numeric_limits<D>::max())) return std::numeric_limits<D>::max();
  return static_cast<D>(value);
}

template <class D, class S>
D integer_to_float(S value, How how) {
  if constexpr (is_small_float<D>) {
    return narrow<D>(static_cast<double>(value), how.mode);
  } else {
    return static_cast<D>(value);
  }
}

// What does not fit becomes the nearest that does.
template <class D, class S>
D float_to_integer(S source, How how) {
  double value = to_double(source);
  if (how.has(kFlush)) value = flush(value, std::is_same_v<S, float>);
  if (std::isnan(value)) {
    constexpr bool kLong = sizeof(S) == 8 || sizeof(D) == 8;
    return kLong ? static_cast<D>(std::uint64_t{1} << (8 * sizeof(D) - 1)) : D{0};
  }
  value = round_integral(value, how.mode);
  // The upper limits of 64-bit numbers are not doubles; the next power of two is.
  const double beyond = std::ldexp(1.0, std::numeric_limits<D>::digits);
  if (value >= beyond) return std::numeric_limits<D>::max();
  if (value < static_cast<double>(std::numeric_limits<D>::min())) {
    return std::numeric_limits<D>::min();
  }
  return static_cast<D>(value);
}

template <class D, class S>
D float_to_float(S source, How how) {
  double value = to_double(source);
  if (how.has(kFlush)) value = flush(value, std::is_same_v<S, float>);
  if (how.has(kIntegral)) value = round_integral(value, how.mode);
  if (how.has(kSaturate)) value = value > 0 ? std::fmin(value, 1.0) : 0.0;
  if constexpr (is_small_float<D>) {
    return narrow<D>(value, how.mode);
  } else {
    const auto result = static_cast<D>(value);  // in the processor's mode
    if constexpr (std::is_same_v<D, float>) {
      if (how.has(kFlush)) return static_cast<float>(flush(result, true));
    }
    return result;
  }
}

template <class D, class S>
D converted(S value, How how) {
  if constexpr (std::is_integral_v<D>) {
    if constexpr (std::is_integral_v<S>)
      return integer_to_integer<D>(value, how);
    else
      return float_to_integer<D>(value, how);
  } else {
    if constexpr (std::is_integral_v<S>)
      return integer_to_float<D>(value, how);
    else
      return float_to_float<D>(value, how);
  }
}

template <class D>
struct Cast {
  template <class S>
  D operator()(S value) const {
    return converted<D>(value, {});
  }
};

template <class S>
S read(Warp& warp, const Instruction& i, unsigned lane) {
  return from_cell<S>(static_cast<Cell<S>>(i.wide[1] ? warp.cells<std::uint64_t>(i.slot[1])[lane]
                                                     : warp.cells<std::uint32_t>(i.slot[1])[lane]));
}

// A register may be longer than the number that it is given: that is extended by its sign.
template <class D>
void write(Warp& warp, const Instruction& i, unsigned lane, D value) {
  std::uint64_t bits = to_cell<D>(value);
  if constexpr (std::is_signed_v<D> && std::is_integral_v<D>) {
    bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
  }
  if (i.wide[0]) {
    warp.cells<std::uint64_t>(i.slot[0])[lane] = bits;
  } else {
    const std::uint32_t mask = i.count >= 32 ? ~0U : (1U << i.count) - 1;
    warp.cells<std::uint32_t>(i.slot[0])[lane] = static_cast<std::uint32_t>(bits) & mask;
  }
}

template <class D, class S>
void convert(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const How how{i.extra, static_cast<int>(i.extra >> kModeShift)};
  std::optional<RoundingScope> scope;
  if (how.mode != FE_TONEAREST) scope.emplace(how.mode);
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    write<D>(warp, i, lane, converted<D>(read<S>(warp, i, lane), how));
  }
}

// Slow can do everything; fast needs registers of just the numbers' sizes and nothing special.
template <class D>
Handler from(Type type, bool fast) {
  const auto visit = [fast]<class S>(TypeTag<S>) -> Handler {
    return fast ? &lanewise<Cast<D>, D, S> : &convert<D, S>;
  };
  const Handler integer = for_integer(type, visit);
  return integer != nullptr ? integer : for_float(type, visit);
}

Handler pick(Type to, Type type, bool fast) {
  const auto visit = [=]<class D>(TypeTag<D>) -> Handler { return from<D>(type, fast); };
  const Handler integer = for_integer(to, visit);
  return integer != nullptr ? integer : for_float(to, visit);
}

// Two floats to one register, the first one to its upper half.
template <class T, int Mode>
struct Pack {
  std::uint32_t operator()(float high, float low) const {
    return static_cast<std::uint32_t>(narrow<T>(high, Mode).bits) << 16U |
           narrow<T>(low, Mode).bits;
  }
};
// The common one, without a detour over double.
struct PackBf16 {
  static std::uint32_t rounded_bits(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fffU;
    return (bits + 0x7fffU + (bits >> 16U & 1U)) >> 16U;
  }
  std::uint32_t operator()(float high, float low) const {
    return rounded_bits(high) << 16U | rounded_bits(low);
  }
};

bool decode_pack(Slots& slots, const Statement& s, Instruction& i, Type to) {
  if (s.type(0) != Type{Type::Kind::kFloat, 32, 1}) return false;
  refuse(s, {"relu", "satfinite", "rs"});
  const int mode = rounding_mode(s);
  if (mode != FE_TONEAREST && mode != FE_TOWARDZERO) return false;
  const bool nearest = mode == FE_TONEAREST;
  using U = std::uint32_t;
  if (to.kind == Type::Kind::kBfloat) {
    i.run = nearest ? &lanewise<PackBf16, U, float, float>
                    : &lanewise<Pack<Bf16, FE_TOWARDZERO>, U, float, float>;
  } else {
    i.run = nearest ? &lanewise<Pack<Half, FE_TONEAREST>, U, float, float>
                    : &lanewise<Pack<Half, FE_TOWARDZERO>, U, float, float>;
  }
  slots.operands(i, s, {32, 32, 32});
  return true;
}

}  // namespace

bool decode_convert(Slots& slots, const Statement& s, Instruction& i) {
  if (s.opcode[0] != "cvt") return false;
  const Type source = s.type(0);
  const Type to = s.type(1);
  if (to.count == 2) return decode_pack(slots, s, i, to);
  if (source.count != 1 || s.operands.size() != 2) throw Unsupported("the conversion");
  refuse(s, {"relu", "satfinite", "pack", "rna", "rs"});
  const bool integral = s.has("rni") || s.has("rzi") || s.has("rmi") || s.has("rpi");
  const int mode = rounding_mode(s);
  const std::uint32_t flags =
      (s.has("ftz") ? kFlush : 0) | (s.has("sat") ? kSaturate : 0) | (integral ? kIntegral : 0);
  i.extra = flags | static_cast<std::uint32_t>(mode) << kModeShift;
  i.count = slots.bits(s.operands[0], to.bits);
  const unsigned source_bits = slots.bits(s.operands[1], source.bits);
  i.wide = {i.count == 64, source_bits == 64};
  i.slot[0] = slots.out(s.operands[0], i.count);
  i.slot[1] = slots.in(s.operands[1], source_bits);
  const bool fast =
      flags == 0 && mode == FE_TONEAREST && i.count == to.bits && i.wide[1] == (source.bits == 64);
  i.run = pick(to, source, fast);
  return true;
}

}  // namespace varve::ptx
