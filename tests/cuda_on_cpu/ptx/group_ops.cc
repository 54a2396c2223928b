// What the lanes of a mask do together: shuffles, votes, reductions.
#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

std::uint32_t mask_of(Warp& warp, const Instruction& i, unsigned lane) {
  return warp.cells<std::uint32_t>(i.mask)[lane];
}

enum class Shuffle : std::uint32_t { kUp, kDown, kButterfly, kIndex };

struct Source {
  unsigned lane;
  bool inside;  // else the lane gets its own value
};

// As the PTX manual has it: c holds the last lane of the segment and the mask of segments.
Source source_of(Shuffle how, unsigned lane, std::uint32_t b, std::uint32_t c) {
  const std::uint32_t segment = c >> 8U & 31U;
  const std::uint32_t clamp = c & 31U;
  b &= 31U;
  const std::uint32_t first = lane & segment;
  const std::uint32_t last = first | (clamp & ~segment);
  switch (how) {
    // Of kUp, the limit is the first lane: clamp is 0 there.
    case Shuffle::kUp:
      return {lane - b, static_cast<std::int32_t>(lane - b) >= static_cast<std::int32_t>(last)};
    case Shuffle::kDown:
      return {lane + b, lane + b <= last};
    case Shuffle::kButterfly:
      return {lane ^ b, (lane ^ b) <= last};
    case Shuffle::kIndex:
      break;
  }
  const unsigned from = first | (b & ~segment & 31U);
  return {from, from <= last};
}

// Slots: result, whether it came from another lane (or none), value, b, c.
void shuffle(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t* const value = warp.cells<std::uint32_t>(i.slot[2]);
  const std::uint32_t* const b = warp.cells<std::uint32_t>(i.slot[3]);
  const std::uint32_t* const c = warp.cells<std::uint32_t>(i.slot[4]);
  std::array<std::uint32_t, kLanes> result{};
  std::uint32_t moved = 0;
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const Source source = source_of(static_cast<Shuffle>(i.extra), lane, b[lane], c[lane]);
    const unsigned from = source.inside ? source.lane : lane;
    if ((mask_of(warp, i, lane) >> from & 1U) == 0) {
      warp.fail(i, lane, "reads lane " + std::to_string(from) + ", which the mask lacks");
    }
    result[lane] = value[from];
    moved |= static_cast<std::uint32_t>(source.inside) << lane;
  }
  std::uint32_t* const d = warp.cells<std::uint32_t>(i.slot[0]);
  each_lane(lanes, [&](unsigned lane) { d[lane] = result[lane]; });
  if (i.slot[1] != kNone) warp.set_predicate(i.slot[1], moved, lanes);
}

void decode_shuffle(Slots& slots, const Statement& s, Instruction& i) {
  static const std::map<std::string, Shuffle> kModes = {{"up", Shuffle::kUp},
                                                        {"down", Shuffle::kDown},
                                                        {"bfly", Shuffle::kButterfly},
                                                        {"idx", Shuffle::kIndex}};
  if (s.operands.size() != 5 || s.opcode[1] != "sync") throw Unsupported("a shuffle without mask");
  i.run = &shuffle;
  i.extra = static_cast<std::uint32_t>(kModes.at(s.opcode[2]));
  i.slot[0] = slots.out(s.operands[0], 32);
  i.slot[1] = s.operands[0].second == kNone ? kNone : slots.predicate(s.operands[0].second);
  for (std::size_t n = 1; n < 4; ++n) i.slot[n + 1] = slots.in(s.operands[n], 32);
  i.mask = slots.in(s.operands[4], 32);
}

enum class Vote : std::uint32_t { kAll, kAny, kUniform, kBallot };
constexpr std::uint32_t kNegated = 1U << 8U;

void vote(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  std::uint32_t votes = warp.predicate(i.slot[1]);
  if ((i.extra & kNegated) != 0) votes = ~votes;
  std::uint32_t result = 0;
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    const std::uint32_t mask = mask_of(warp, i, lane);
    const std::uint32_t yes = votes & mask;
    switch (static_cast<Vote>(i.extra & 0xffU)) {
      case Vote::kAll:
        result |= static_cast<std::uint32_t>(yes == mask) << lane;
        break;
      case Vote::kAny:
        result |= static_cast<std::uint32_t>(yes != 0) << lane;
        break;
      case Vote::kUniform:
        result |= static_cast<std::uint32_t>(yes == 0 || yes == mask) << lane;
        break;
      case Vote::kBallot:
        warp.cells<std::uint32_t>(i.slot[0])[lane] = yes;
        break;
    }
  }
  if (static_cast<Vote>(i.extra & 0xffU) != Vote::kBallot) {
    warp.set_predicate(i.slot[0], result, lanes);
  }
}

void decode_vote(Slots& slots, const Statement& s, Instruction& i) {
  static const std::map<std::string, Vote> kModes = {
      {"all", Vote::kAll}, {"any", Vote::kAny}, {"uni", Vote::kUniform}, {"ballot", Vote::kBallot}};
  if (s.operands.size() != 3 || s.opcode[1] != "sync") throw Unsupported("a vote without mask");
  const Vote how = kModes.at(s.opcode[2]);
  i.run = &vote;
  i.extra = static_cast<std::uint32_t>(how) | (s.operands[1].negated ? kNegated : 0);
  i.slot[0] =
      how == Vote::kBallot ? slots.out(s.operands[0], 32) : slots.out_predicate(s.operands[0]);
  i.slot[1] = slots.in_predicate(s.operands[1]);
  i.mask = slots.in(s.operands[2], 32);
}

struct Add {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
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
struct And {
  template <class T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct Or {
  template <class T>
  T operator()(T a, T b) const {
    return a | b;
  }
};
struct Xor {
  template <class T>
  T operator()(T a, T b) const {
    return a ^ b;
  }
};

template <class F, class T>
void reduce(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t* const a = warp.cells<std::uint32_t>(i.slot[1]);
  std::array<std::uint32_t, kLanes> result{};
  for (std::uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    std::uint32_t mask = mask_of(warp, i, lane);
    T sum = static_cast<T>(a[std::countr_zero(mask)]);
    for (mask &= mask - 1; mask != 0; mask &= mask - 1) {
      sum = F{}(sum, static_cast<T>(a[std::countr_zero(mask)]));
    }
    result[lane] = static_cast<std::uint32_t>(sum);
  }
  std::uint32_t* const d = warp.cells<std::uint32_t>(i.slot[0]);
  each_lane(lanes, [&](unsigned lane) { d[lane] = result[lane]; });
}

template <class F>
Handler pick_reduction(bool is_signed) {
  return is_signed ? &reduce<F, std::int32_t> : &reduce<F, std::uint32_t>;
}

void decode_redux(Slots& slots, const Statement& s, Instruction& i) {
  static const std::map<std::string, Handler (*)(bool)> kModes = {
      {"add", &pick_reduction<Add>}, {"min", &pick_reduction<Min>}, {"max", &pick_reduction<Max>},
      {"and", &pick_reduction<And>}, {"or", &pick_reduction<Or>},   {"xor", &pick_reduction<Xor>}};
  if (s.type().is_float()) throw Unsupported("a reduction of floats");
  i.run = kModes.at(s.opcode.at(2))(s.type().kind == Type::Kind::kSigned);
  slots.operands(i, s, {32, 32, 32});
  i.mask = i.slot[2];
}

void nothing(Warp&, const Instruction&, std::uint32_t) {}

}  // namespace

bool decode_group(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  if (op == "shfl") {
    decode_shuffle(slots, s, i);
  } else if (op == "vote") {
    decode_vote(slots, s, i);
  } else if (op == "redux") {
    decode_redux(slots, s, i);
  } else if (op == "bar" && s.has("warp")) {
    i.run = &nothing;
    i.mask = slots.in(s.operands.at(0), 32);
  } else {
    return false;
  }
  i.kind = Instruction::Kind::kGroup;
  return true;
}

}  // namespace varve::ptx
