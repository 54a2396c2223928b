// cp.async: copies from global to shared memory that a thread waits for later.
#include <string>

#include "tests/cuda_on_cpu/ptx/handlers.h"
#include "tests/cuda_on_cpu/ptx/memory.h"

namespace varve::ptx {
namespace {

// Addresses 0 and 1: to, from. Slot 0: how many bytes are read (the rest becomes zero).
// Instruction::extra: how many bytes are written.
void begin_copy(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  const std::uint32_t* const filled = warp.cells<std::uint32_t>(i.slot[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(lanes));
    if (filled[lane] > i.extra) warp.fail(i, lane, "more bytes to read than to write");
    unsigned char* const to =
        resolve(warp, i, Space::kShared, lane, warp.address(i, 0, lane), i.extra, i.extra);
    const std::uint64_t address = warp.address(i, 1, lane);
    const unsigned char* from = nullptr;
    if (filled[lane] != 0) {
      from = resolve(warp, i, Space::kGlobal, lane, address, filled[lane], i.extra);
    } else if (address % i.extra != 0) {
      warp.fail(i, lane, "misaligned access");
    }
    warp.begin_copy(lane, to, from, i.extra, filled[lane]);
  }
}

void commit(Warp& warp, const Instruction&, std::uint32_t lanes) {
  warp.commit_copies(lanes);
}

void wait_group(Warp& warp, const Instruction& i, std::uint32_t lanes) {
  warp.wait_copies(lanes, i.extra);
}

void wait_all(Warp& warp, const Instruction&, std::uint32_t lanes) {
  warp.commit_copies(lanes);
  warp.wait_copies(lanes, 0);
}

void decode_begin(Slots& slots, const Statement& s, Instruction& i) {
  if (s.operands.size() != 3 && s.operands.size() != 4) {
    throw Unsupported("another number of operands");
  }
  i.run = &begin_copy;
  slots.address(i, 0, s.operands[0]);
  slots.address(i, 1, s.operands[1]);
  i.extra = static_cast<std::uint32_t>(Slots::number(s.operands[2]));
  if (i.extra != 4 && i.extra != 8 && i.extra != 16) throw Unsupported("a copy of another size");
  i.slot[0] = slots.in(s.operands.back(), 32);
}

}  // namespace

bool decode_copy(Slots& slots, const Statement& s, Instruction& i) {
  if (s.opcode[0] != "cp" || s.opcode.size() < 3 || s.opcode[1] != "async") return false;
  const std::string& what = s.opcode[2];
  if (what == "ca" || what == "cg") {
    decode_begin(slots, s, i);
  } else if (what == "commit_group") {
    i.run = &commit;
  } else if (what == "wait_all") {
    i.run = &wait_all;
  } else if (what == "wait_group") {
    i.run = &wait_group;
    i.extra = static_cast<std::uint32_t>(Slots::number(s.operands.at(0)));
  } else {
    return false;
  }
  return true;
}

}  // namespace varve::ptx
