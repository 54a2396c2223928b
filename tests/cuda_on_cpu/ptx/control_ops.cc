// Where a kernel goes on, ends and waits; and what has no effect here.
#include <algorithm>
#include <array>
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"

namespace varve::ptx {
namespace {

void nothing(Warp&, const Instruction&, std::uint32_t) {}

void trap(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  warp.fail(i, static_cast<unsigned>(std::countr_zero(lanes)), "trap");
}

void active_mask(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  std::uint32_t* const d = warp.cells<std::uint32_t>(i.slot[0]);
  each_lane(lanes, [=](unsigned lane) { d[lane] = lanes; });
}

bool decode_branch(Slots& slots, const Statement& s, Instruction& i) {
  if (s.opcode[0] == "bra") {
    i.kind = Instruction::Kind::kBranch;
    i.target = slots.label(s.operands.at(0).symbol);
  } else if (s.opcode[0] == "brx") {
    i.kind = Instruction::Kind::kTable;
    i.slot[0] = slots.in(s.operands.at(0), 32);
    for (const std::string& name : slots.table(s.operands.at(1).symbol)) {
      i.targets.push_back(slots.label(name));
    }
  } else if (s.opcode[0] == "ret" || s.opcode[0] == "exit") {
    i.kind = Instruction::Kind::kExit;
  } else {
    return false;
  }
  return true;
}

bool decode_barrier(const Statement& s, Instruction& i) {
  const bool bar = s.opcode[0] == "bar" || s.opcode[0] == "barrier";
  if (!bar || s.has("warp")) return false;
  if (!s.has("sync") || s.operands.empty() || s.operands.size() > 2) {
    throw Unsupported("the kind of barrier");
  }
  i.kind = Instruction::Kind::kBarrier;
  i.extra = static_cast<std::uint32_t>(Slots::number(s.operands[0]));
  i.count = s.operands.size() == 2 ? static_cast<std::uint32_t>(Slots::number(s.operands[1])) : 0;
  return true;
}

// Memory is in order anyway; caches and time there are none.
bool has_no_effect(const std::string& op) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "membar", "fence", "nanosleep", "prefetch", "prefetchu", "discard", "applypriority"};
  return std::ranges::find(kNames, op) != kNames.end();
}

}  // namespace

bool decode_control(Slots& slots, const Statement& s, Instruction& i) {
  const std::string& op = s.opcode[0];
  if (decode_branch(slots, s, i) || decode_barrier(s, i)) return true;
  if (op == "call") throw Unsupported("a call that cannot be inlined (inline_calls.h)");
  if (op == "trap" || op == "brkpt") {
    i.run = &trap;
  } else if (op == "activemask") {
    i.run = &active_mask;
    slots.operands(i, s, {32});
  } else if (has_no_effect(op)) {
    i.run = &nothing;
  } else {
    return false;
  }
  return true;
}

}  // namespace varve::ptx
