// Comparisons, choices, and the logic of predicates (a bit for each lane).
#include <cmath>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

enum class Relation { kEq, kNe, kLt, kLe, kGt, kGe, kNum, kNan };
enum class Join : std::uint32_t { kNone, kAnd, kOr, kXor };
constexpr std::uint32_t kNegateThird = 1U << 8U;

template <class T>
auto comparable(T value) {
  if constexpr (is_small_float<T>) {
    return widen(value);
  } else {
    return value;
  }
}

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::isnan(value);
  } else {
    return false;
  }
}

// Unordered comparisons hold if a number is missing, ordered ones do not.
template <Relation R, bool Unordered>
struct Compare {
  template <class T>
  bool operator()(T a, T b) const {
    const bool nan = is_nan(a) || is_nan(b);
    switch (R) {
      case Relation::kEq:
        return Unordered ? nan || a == b : a == b;
      case Relation::kNe:
        return Unordered ? a != b : !nan && a != b;
      case Relation::kLt:
        return (Unordered && nan) || a < b;
      case Relation::kLe:
        return (Unordered && nan) || a <= b;
      case Relation::kGt:
        return (Unordered && nan) || a > b;
      case Relation::kGe:
        return (Unordered && nan) || a >= b;
      case Relation::kNum:
        return !nan;
      case Relation::kNan:
        return nan;
    }
    return false;
  }
};

std::uint32_t join(Join how, std::uint32_t a, std::uint32_t b) {
  switch (how) {
    case Join::kAnd:
      return a & b;
    case Join::kOr:
      return a | b;
    case Join::kXor:
      return a ^ b;
    default:
      return a;
  }
}

template <class F, class T>
std::uint32_t compared(Warp& warp, std::uint32_t left, std::uint32_t right) {
  const Cell<T>* const a = warp.cells<T>(left);
  const Cell<T>* const b = warp.cells<T>(right);
  std::uint32_t bits = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const bool holds = F{}(comparable(from_cell<T>(a[lane])), comparable(from_cell<T>(b[lane])));
    bits |= static_cast<std::uint32_t>(holds) << lane;
  }
  return bits;
}

// Slots: result, its opposite (or none), the two numbers, a predicate to join with (or none).
template <class F, class T>
void set_predicate(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t bits = compared<F, T>(warp, i.slot[2], i.slot[3]);
  const auto how = static_cast<Join>(i.extra & 0xffU);
  std::uint32_t third = how == Join::kNone ? 0 : warp.predicate(i.slot[4]);
  if ((i.extra & kNegateThird) != 0) third = ~third;
  warp.set_predicate(i.slot[0], join(how, bits, third), lanes);
  if (i.slot[1] != kNone) warp.set_predicate(i.slot[1], join(how, ~bits, third), lanes);
}

// set.*: the same into a register, all ones or 1.0.
template <class F, class T>
void set_register(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t bits = compared<F, T>(warp, i.slot[1], i.slot[2]);
  std::uint32_t* const d = warp.cells<std::uint32_t>(i.slot[0]);
  each_lane(lanes,
            [=, yes = i.extra](unsigned lane) { d[lane] = (bits >> lane & 1U) != 0 ? yes : 0; });
}

template <class F>
Handler for_type(Type type, bool into_register) {
  const auto visit = [&]<class T>(TypeTag<T>) -> Handler {
    return into_register ? &set_register<F, T> : &set_predicate<F, T>;
  };
  const Handler integer = for_integer(type, visit);
  return integer != nullptr ? integer : for_float(type, visit);
}

using Pick = Handler (*)(Type, bool);
const std::map<std::string, Pick> kRelations = {
    {"eq", &for_type<Compare<Relation::kEq, false>>},
    {"ne", &for_type<Compare<Relation::kNe, false>>},
    {"lt", &for_type<Compare<Relation::kLt, false>>},
    {"lo", &for_type<Compare<Relation::kLt, false>>},
    {"le", &for_type<Compare<Relation::kLe, false>>},
    {"ls", &for_type<Compare<Relation::kLe, false>>},
    {"gt", &for_type<Compare<Relation::kGt, false>>},
    {"hi", &for_type<Compare<Relation::kGt, false>>},
    {"ge", &for_type<Compare<Relation::kGe, false>>},
    {"hs", &for_type<Compare<Relation::kGe, false>>},
    {"equ", &for_type<Compare<Relation::kEq, true>>},
    {"neu", &for_type<Compare<Relation::kNe, true>>},
    {"ltu", &for_type<Compare<Relation::kLt, true>>},
    {"leu", &for_type<Compare<Relation::kLe, true>>},
    {"gtu", &for_type<Compare<Relation::kGt, true>>},
    {"geu", &for_type<Compare<Relation::kGe, true>>},
    {"num", &for_type<Compare<Relation::kNum, false>>},
    {"nan", &for_type<Compare<Relation::kNan, false>>},
};

bool decode_setp(Slots& slots, const Statement& s, Instruction& i) {
  const Type type = s.type();
  i.run = kRelations.at(s.opcode.at(1))(type, false);
  const bool joined = s.operands.size() == 4;
  if (s.operands.size() != 3 && !joined) throw Unsupported("another number of operands");
  i.slot[0] = slots.out_predicate(s.operands[0]);
  i.slot[1] = s.operands[0].second == kNone ? kNone : slots.predicate(s.operands[0].second);
  i.slot[2] = slots.in(s.operands[1], type.bits);
  i.slot[3] = slots.in(s.operands[2], type.bits);
  if (!joined) return true;
  const Join how = s.has("and") ? Join::kAnd : s.has("or") ? Join::kOr : Join::kXor;
  i.slot[4] = slots.in_predicate(s.operands[3]);
  i.extra = static_cast<std::uint32_t>(how) | (s.operands[3].negated ? kNegateThird : 0);
  return true;
}

bool decode_set(Slots& slots, const Statement& s, Instruction& i) {
  const Type from = s.type(0);
  const Type to = s.type(1);
  if (to.bits != 32) throw Unsupported("set into another size");
  i.run = kRelations.at(s.opcode.at(1))(from, true);
  i.extra = to.kind == Type::Kind::kFloat ? std::bit_cast<std::uint32_t>(1.0F) : ~0U;
  slots.operands(i, s, {32, from.bits, from.bits});
  return true;
}

template <class T>
void select(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  T* const d = warp.cells<T>(i.slot[0]);
  const T* const a = warp.cells<T>(i.slot[1]);
  const T* const b = warp.cells<T>(i.slot[2]);
  const std::uint32_t bits = warp.predicate(i.slot[3]);
  each_lane(lanes, [=](unsigned lane) { d[lane] = (bits >> lane & 1U) != 0 ? a[lane] : b[lane]; });
}

bool decode_selp(Slots& slots, const Statement& s, Instruction& i) {
  const unsigned bits = s.type().bytes() * 8;
  if (s.operands.size() != 4) throw Unsupported("another number of operands");
  i.run = bits == 64 ? &select<std::uint64_t> : &select<std::uint32_t>;
  i.slot[0] = slots.out(s.operands[0], bits);
  i.slot[1] = slots.in(s.operands[1], bits);
  i.slot[2] = slots.in(s.operands[2], bits);
  i.slot[3] = slots.in_predicate(s.operands[3]);
  return true;
}

enum class Logic : std::uint32_t { kAnd, kOr, kXor, kNot, kMove };

template <Logic L>
void logic(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t a = warp.predicate(i.slot[1]);
  const std::uint32_t b = warp.predicate(i.slot[2]);
  warp.set_predicate(i.slot[0],
                     L == Logic::kAnd   ? a & b
                     : L == Logic::kOr  ? a | b
                     : L == Logic::kXor ? a ^ b
                     : L == Logic::kNot ? ~a
                                        : a,
                     lanes);
}

// mov.pred p, 1 and its like.
void set_all(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  warp.set_predicate(i.slot[0], i.extra != 0 ? kAllLanes : 0, lanes);
}

const std::map<std::string, Handler> kLogic = {
    {"and", &logic<Logic::kAnd>}, {"or", &logic<Logic::kOr>},    {"xor", &logic<Logic::kXor>},
    {"not", &logic<Logic::kNot>}, {"mov", &logic<Logic::kMove>},
};

bool decode_logic(Slots& slots, const Statement& s, Instruction& i) {
  const auto found = kLogic.find(s.opcode[0]);
  if (found == kLogic.end()) return false;
  i.run = found->second;
  i.slot[0] = slots.out_predicate(s.operands.at(0));
  if (s.operands.at(1).kind == Operand::Kind::kNumber) {
    if (s.opcode[0] != "mov") throw Unsupported("logic with a number");
    i.run = &set_all;
    i.extra = static_cast<std::uint32_t>(s.operands[1].number & 1U);
    return true;
  }
  i.slot[1] = slots.in_predicate(s.operands[1]);
  i.slot[2] = s.operands.size() > 2 ? slots.in_predicate(s.operands[2]) : i.slot[1];
  return true;
}

template <class T>
void test_number(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const Cell<T>* const a = warp.cells<T>(i.slot[1]);
  std::uint32_t bits = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const int kind = std::fpclassify(from_cell<T>(a[lane]));
    bits |= (i.extra >> static_cast<unsigned>(kind) & 1U) << lane;
  }
  warp.set_predicate(i.slot[0], bits, lanes);
}

bool decode_testp(Slots& slots, const Statement& s, Instruction& i) {
  static const std::map<std::string, std::uint32_t> kClasses = {
      {"finite", 1U << FP_ZERO | 1U << FP_SUBNORMAL | 1U << FP_NORMAL},
      {"infinite", 1U << FP_INFINITE},
      {"number", 1U << FP_ZERO | 1U << FP_SUBNORMAL | 1U << FP_NORMAL | 1U << FP_INFINITE},
      {"notanumber", 1U << FP_NAN},
      {"normal", 1U << FP_NORMAL},
      {"subnormal", 1U << FP_SUBNORMAL},
  };
  const unsigned bits = s.type().bits;
  i.run = bits == 64 ? &test_number<double> : &test_number<float>;
  i.extra = kClasses.at(s.opcode.at(1));
  i.slot[0] = slots.out_predicate(s.operands.at(0));
  i.slot[1] = slots.in(s.operands.at(1), bits);
  return true;
}

}  // namespace

bool decode_compare(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  if (op == "setp" || op == "set") {
    if (!kRelations.contains(s.opcode.at(1)) || s.has("ftz")) throw Unsupported("the comparison");
    return op == "setp" ? decode_setp(slots, s, i) : decode_set(slots, s, i);
  }
  if (op == "selp") return decode_selp(slots, s, i);
  if (op == "testp") return decode_testp(slots, s, i);
  return s.type().kind == Type::Kind::kPredicate && decode_logic(slots, s, i);
}

}  // namespace varve::ptx
