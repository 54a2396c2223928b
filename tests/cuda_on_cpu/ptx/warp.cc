// How the lanes of a warp part and meet.
#include <algorithm>
#include <bit>
#include <cstring>

#include "tests/cuda_on_cpu/ptx/machine.h"

namespace varve::ptx {
namespace {

unsigned first_lane(std::uint32_t lanes) {
  return static_cast<unsigned>(std::countr_zero(lanes));
}

// f(lane) for every lane of the mask, one after the other.
template <class F>
void in_turn(std::uint32_t lanes, F f) {
  for (; lanes != 0; lanes &= lanes - 1) f(first_lane(lanes));
}

}  // namespace

Warp::Warp(Block& block, unsigned index) : block_(block), index_(index) {
  const Program& program = block.program();
  words_.assign(std::size_t{program.words} * kLanes, kAllLanes);
  longs_.assign(std::size_t{program.longs} * kLanes, ~std::uint64_t{0});
  predicates_.assign(program.predicates, 0);
  const std::size_t threads = block.size().count() - std::size_t{index} * kLanes;
  exist_ = threads >= kLanes ? kAllLanes : (1U << threads) - 1;
  for (const Constant& constant : program.constants) {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      if (constant.wide) {
        cells<std::uint64_t>(constant.slot)[lane] = constant.value;
      } else {
        cells<std::uint32_t>(constant.slot)[lane] = static_cast<std::uint32_t>(constant.value);
      }
    }
  }
}

void Warp::start() {
  pc_.fill(0);
  ended_ = at_barrier_ = at_group_ = 0;
  steps_ = 0;
  for (LaneCopies& copies : copies_) copies = {};
  for (const SpecialSlot& special : block_.program().specials) {
    std::uint32_t* const cell = cells<std::uint32_t>(special.slot);
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      cell[lane] = block_.special(special.what, *this, lane);
    }
  }
}

bool Warp::run() {
  bool moved = false;
  while (select()) {
    moved = true;
    go();
  }
  return moved;
}

// The lanes that are furthest behind.
bool Warp::select() {
  active_ = 0;
  at_ = limit_ = kNone;
  in_turn(exist_ & ~(ended_ | at_barrier_ | at_group_), [&](unsigned lane) {
    if (pc_[lane] < at_) {
      limit_ = at_;
      at_ = pc_[lane];
      active_ = 0;
    } else if (pc_[lane] > at_) {
      limit_ = std::min(limit_, pc_[lane]);
    }
    if (pc_[lane] == at_) active_ |= 1U << lane;
  });
  return active_ != 0;
}

void Warp::put(std::uint32_t lanes, std::uint32_t pc) {
  in_turn(lanes, [&](unsigned lane) { pc_[lane] = pc; });
}

void Warp::go() {
  const std::vector<Instruction>& code = block_.program().code;
  const std::uint64_t most = block_.options().most_steps;
  do {
    if (at_ >= limit_) return put(active_, at_);
    if (++steps_ > most) fail(code[at_], first_lane(active_), "the block does not come to an end");
  } while (step(code[at_]));
}

std::uint32_t Warp::passing(const Instruction& instruction) const {
  if (instruction.guard == kNone) return active_;
  const std::uint32_t bits = predicates_[instruction.guard];
  return active_ & (instruction.guard_negated ? ~bits : bits);
}

bool Warp::step(const Instruction& instruction) {
  const std::uint32_t lanes = passing(instruction);
  if (lanes == 0) {
    ++at_;
    return true;
  }
  switch (instruction.kind) {
    case Instruction::Kind::kPlain:
      instruction.run(*this, instruction, lanes);
      ++at_;
      return true;
    case Instruction::Kind::kGroup:
      return meet(instruction, lanes);
    case Instruction::Kind::kBranch:
      return branch(instruction, lanes);
    case Instruction::Kind::kTable:
      return branch_by_table(instruction, lanes);
    case Instruction::Kind::kExit:
      return end(instruction, lanes);
    case Instruction::Kind::kBarrier:
      return wait_at_barrier(instruction, lanes);
  }
  return false;
}

bool Warp::branch(const Instruction& instruction, std::uint32_t lanes) {
  if (lanes == active_) {
    at_ = instruction.target;
    return true;
  }
  put(active_ & ~lanes, at_ + 1);
  put(lanes, instruction.target);
  return false;
}

bool Warp::branch_by_table(const Instruction& instruction, std::uint32_t lanes) {
  put(active_, at_ + 1);
  in_turn(lanes, [&](unsigned lane) {
    const std::uint32_t index = cells<std::uint32_t>(instruction.slot[0])[lane];
    if (index >= instruction.targets.size()) fail(instruction, lane, "no such branch");
    pc_[lane] = instruction.targets[index];
  });
  return false;
}

bool Warp::end(const Instruction& instruction, std::uint32_t lanes) {
  in_turn(lanes, [&](unsigned lane) {
    if (!copies_[lane].pending.empty()) {
      fail(instruction, lane, "a thread ends while copies of it are under way");
    }
  });
  ended_ |= lanes;
  put(active_ & ~lanes, at_ + 1);
  return false;
}

// Which of the lanes that have arrived have their whole mask there.
std::uint32_t Warp::complete(const Instruction& instruction, std::uint32_t arrived) {
  std::uint32_t whole = 0;
  in_turn(arrived, [&](unsigned lane) {
    const std::uint32_t mask =
        instruction.mask == kNone ? kAllLanes : cells<std::uint32_t>(instruction.mask)[lane];
    if ((mask >> lane & 1U) == 0) fail(instruction, lane, "the mask lacks the lane itself");
    if ((mask & ~exist_) != 0) fail(instruction, lane, "the mask names lanes beyond the block");
    if ((mask & ended_) != 0) fail(instruction, lane, "the mask names lanes that have ended");
    if ((mask & ~arrived) == 0) whole |= 1U << lane;
  });
  return whole;
}

bool Warp::meet(const Instruction& instruction, std::uint32_t lanes) {
  std::uint32_t arrived = lanes;
  in_turn(at_group_, [&](unsigned lane) { arrived |= pc_[lane] == at_ ? 1U << lane : 0; });
  const std::uint32_t whole = complete(instruction, arrived);
  if (whole != 0) instruction.run(*this, instruction, whole);
  if (whole == active_) {
    ++at_;
    return true;
  }
  put(whole | active_, at_ + 1);
  put(arrived & ~whole, at_);
  at_group_ = (at_group_ & ~whole) | (arrived & ~whole);
  return false;
}

bool Warp::wait_at_barrier(const Instruction& instruction, std::uint32_t lanes) {
  put(active_ & ~lanes, at_ + 1);
  put(lanes, at_);
  at_barrier_ |= lanes;
  block_.arrive(instruction, at_, *this, lanes);
  return false;
}

void Warp::release(std::uint32_t at) {
  in_turn(at_barrier_, [&](unsigned lane) {
    if (pc_[lane] != at) return;
    pc_[lane] = at + 1;
    at_barrier_ &= ~(1U << lane);
  });
}

std::string Warp::describe_waiting() const {
  std::string text;
  const Program& program = block_.program();
  for (std::uint32_t waiting = at_barrier_ | at_group_; waiting != 0;) {
    const std::uint32_t at = pc_[first_lane(waiting)];
    std::uint32_t together = 0;
    in_turn(waiting, [&](unsigned lane) { together |= pc_[lane] == at ? 1U << lane : 0; });
    text += "\n  " + std::to_string(std::popcount(together)) + " thread(s) from " +
            block_.describe_thread(*this, first_lane(together)) + " on wait" +
            block_.where(program.code[at]);
    waiting &= ~together;
  }
  if (const int ended = std::popcount(ended_); ended != 0) {
    text += "\n  " + std::to_string(ended) + " thread(s) from " +
            block_.describe_thread(*this, first_lane(ended_)) + " on have ended";
  }
  return text;
}

void Warp::begin_copy(unsigned lane, unsigned char* to, const unsigned char* from, unsigned bytes,
                      unsigned filled) {
  LaneCopies& copies = copies_[lane];
  const Copy copy{to, from, bytes, filled, copies.group};
  if (block_.options().late_copies) {
    std::memset(to, 0xff, bytes);  // nobody may read it before the wait
  } else {
    land(copy);
  }
  copies.pending.push_back(copy);
}

void Warp::commit_copies(std::uint32_t lanes) {
  in_turn(lanes, [&](unsigned lane) { ++copies_[lane].group; });
}

void Warp::wait_copies(std::uint32_t lanes, unsigned pending) {
  in_turn(lanes, [&](unsigned lane) {
    LaneCopies& copies = copies_[lane];
    auto next = copies.pending.begin();
    for (; next != copies.pending.end() && next->group + pending < copies.group; ++next) {
      if (block_.options().late_copies) land(*next);
    }
    copies.pending.erase(copies.pending.begin(), next);
  });
}

void Warp::land(const Copy& copy) const {
  if (copy.filled != 0) std::memcpy(copy.to, copy.from, copy.filled);
  std::memset(copy.to + copy.filled, 0, copy.bytes - copy.filled);
}

void Warp::fail(const Instruction& instruction, unsigned lane, const std::string& why) {
  block_.fail(why + ": " + block_.describe_thread(*this, lane) + block_.where(instruction));
}

}  // namespace varve::ptx
