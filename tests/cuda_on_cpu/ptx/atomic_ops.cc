// atom and red. Lanes take turns; nothing else runs meanwhile, so every order of memory holds.
#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"
#include "tests/cuda_on_cpu/ptx/memory.h"

namespace varve::ptx {
namespace {

// What memory becomes: of what it was, the operand, and a second operand (cas only).
struct Add {
  template <class T>
  T operator()(T old, T b, T) const {
    if constexpr (std::is_floating_point_v<T>) {
      return old + b;
    } else {
      using U = std::make_unsigned_t<T>;
      return static_cast<T>(static_cast<U>(old) + static_cast<U>(b));
    }
  }
};
struct Min {
  template <class T>
  T operator()(T old, T b, T) const {
    return std::min(old, b);
  }
};
struct Max {
  template <class T>
  T operator()(T old, T b, T) const {
    return std::max(old, b);
  }
};
struct Exchange {
  template <class T>
  T operator()(T, T b, T) const {
    return b;
  }
};
struct CompareAndSwap {
  template <class T>
  T operator()(T old, T b, T c) const {
    return old == b ? c : old;
  }
};
template <char Op>
struct Logic {
  template <class T>
  T operator()(T old, T b, T) const {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(Op == '&' ? old & b : Op == '|' ? old | b : old ^ b);
    } else {
      return b;
    }
  }
};
struct Increment {  // wraps behind b
  template <class T>
  T operator()(T old, T b, T) const {
    return old >= b ? T{0} : static_cast<T>(old + 1);
  }
};
struct Decrement {
  template <class T>
  T operator()(T old, T b, T) const {
    return old == T{0} || old > b ? b : static_cast<T>(old - 1);
  }
};

// Slots: what was there (or none), operand, second operand (or none). Instruction::extra: space.
template <class F, class T>
void update(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    unsigned char* const at = resolve(warp, i, static_cast<Space>(i.extra), lane,
                                      warp.address(i, 0, lane), sizeof(T), sizeof(T));
    const T b = from_cell<T>(warp.cells<T>(i.slot[1])[lane]);
    const T c = i.slot[2] == kNone ? T{} : from_cell<T>(warp.cells<T>(i.slot[2])[lane]);
    T old;
    std::memcpy(&old, at, sizeof(T));
    const T now = F{}(old, b, c);
    std::memcpy(at, &now, sizeof(T));
    if (i.slot[0] != kNone) warp.cells<T>(i.slot[0])[lane] = to_cell<T>(old);
  }
}

template <class F>
Handler pick(Type type) {
  const auto visit = []<class T>(TypeTag<T>) -> Handler {
    if constexpr (sizeof(T) < 4) {
      return nullptr;
    } else {
      return &update<F, T>;
    }
  };
  const Handler integer = for_integer(type, visit);
  return integer != nullptr ? integer : for_float(type, visit);
}

const std::map<std::string, Handler (*)(Type)> kUpdates = {
    {"add", &pick<Add>},        {"min", &pick<Min>},
    {"max", &pick<Max>},        {"exch", &pick<Exchange>},
    {"and", &pick<Logic<'&'>>}, {"or", &pick<Logic<'|'>>},
    {"xor", &pick<Logic<'^'>>}, {"inc", &pick<Increment>},
    {"dec", &pick<Decrement>},  {"cas", &pick<CompareAndSwap>},
};

}  // namespace

bool decode_atomic(Slots& slots, const Statement& s, Instruction& i) {
  const bool returns = s.opcode[0] == "atom";
  if (!returns && s.opcode[0] != "red") return false;
  const Type type = s.type();
  const std::size_t first = returns ? 1 : 0;  // where the address is
  for (const std::string& word : s.opcode) {
    const auto found = kUpdates.find(word);
    if (found == kUpdates.end()) continue;
    i.run = found->second(type);
    const std::size_t inputs = word == "cas" ? 2 : 1;
    if (s.operands.size() != first + 1 + inputs) throw Unsupported("another number of operands");
    i.slot[0] = returns ? slots.out(s.operands[0], type.bits) : kNone;
    slots.address(i, 0, s.operands[first]);
    i.slot[1] = slots.in(s.operands[first + 1], type.bits);
    i.slot[2] = inputs == 2 ? slots.in(s.operands[first + 2], type.bits) : kNone;
    i.extra = static_cast<std::uint32_t>(space_of(s));
    return true;
  }
  throw Unsupported("the atomic operation");
}

}  // namespace varve::ptx
