// Additions of long numbers in parts: what leaves a carry (.cc) and what takes it (addc, subc,
// madc).
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

// Instruction::extra. Slot 4 is the predicate that holds the carries.
constexpr std::uint32_t kTakes = 1;
constexpr std::uint32_t kLeaves = 2;

__extension__ using Wide = unsigned __int128;
__extension__ using SignedWide = __int128;

enum class Kind { kAdd, kSub, kMadLow, kMadHigh };

template <class T>
T product(Kind kind, T a, T b) {
  using Full = std::conditional_t<std::is_signed_v<T>, SignedWide, Wide>;
  const Full full = static_cast<Full>(a) * static_cast<Full>(b);
  return static_cast<T>(kind == Kind::kMadHigh ? full >> (8 * sizeof(T)) : full);
}

struct Sum {
  Wide value;
  bool carry;
};

template <class T>
Sum sum(Kind kind, T x, T y, bool carry) {
  using U = std::make_unsigned_t<T>;
  const Wide a = static_cast<U>(x);
  const Wide b = Wide{static_cast<U>(y)} + (carry ? 1U : 0U);
  if (kind == Kind::kSub) return {a - b, a < b};
  return {a + b, (a + b) >> (8 * sizeof(T)) != 0};
}

template <class T, Kind K>
void run(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const auto value = [&](std::size_t slot, unsigned lane) {
    return from_cell<T>(warp.cells<T>(i.slot[slot])[lane]);
  };
  const bool mad = K == Kind::kMadLow || K == Kind::kMadHigh;
  const std::uint32_t taken = (i.extra & kTakes) != 0 ? warp.predicate(i.slot[4]) : 0;
  std::uint32_t left = 0;
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const T x = mad ? product(K, value(1, lane), value(2, lane)) : value(1, lane);
    const T y = mad ? value(3, lane) : value(2, lane);
    const Sum result = sum(K, x, y, (taken >> lane & 1U) != 0);
    warp.cells<T>(i.slot[0])[lane] = static_cast<Cell<T>>(result.value);
    left |= static_cast<std::uint32_t>(result.carry) << lane;
  }
  if ((i.extra & kLeaves) != 0) warp.set_predicate(i.slot[4], left, lanes);
}

template <Kind K>
Handler pick(Type type) {
  return for_integer(type, []<class T>(TypeTag<T>) -> Handler {
    if constexpr (sizeof(T) < 4) {
      return nullptr;
    } else {
      return &run<T, K>;
    }
  });
}

}  // namespace

bool decode_carry(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  const bool takes = op == "addc" || op == "subc" || op == "madc";
  if (!takes && !s.has("cc")) return false;
  const Type type = s.type();
  const std::string kind = op.substr(0, 3);
  i.extra = (takes ? kTakes : 0) | (s.has("cc") ? kLeaves : 0);
  i.slot[4] = slots.carry();
  if (kind == "mad") {
    i.run = s.has("hi") ? pick<Kind::kMadHigh>(type) : pick<Kind::kMadLow>(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits, type.bits});
  } else if (kind == "add" || kind == "sub") {
    i.run = kind == "add" ? pick<Kind::kAdd>(type) : pick<Kind::kSub>(type);
    slots.operands(i, s, {type.bits, type.bits, type.bits});
  } else {
    return false;
  }
  return true;
}

}  // namespace varve::ptx
