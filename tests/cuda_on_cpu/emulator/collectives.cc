#include "tests/cuda_on_cpu/emulator/collectives.h"

#include <fmt/format.h>

#include <bit>

#include "tests/cuda_on_cpu/emulator/machine.h"
#include "tests/cuda_on_cpu/emulator/report.h"

namespace varve::emulator {
namespace {

constexpr std::uint32_t kAllLanes = ~0U;

void check_mask(Word word, unsigned mask, Place at) {
  if (mask == kAllLanes) return;
  machine.fail(at, fmt::format("{} with the mask {:#x}: it must be full", name(word), mask));
}

void check_shuffle(Word word, unsigned mask, int amount, int width, Place at) {
  check_mask(word, mask, at);
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
    machine.fail(at, fmt::format("{} with a width of {}", name(word), width));
  }
  if (amount < 0 || amount > 31) {
    machine.fail(at, fmt::format("{} by {}, of which a GPU would take the last five bits",
                                 name(word), amount));
  }
}

// Which lane this one reads. A lane whose source is out of its group keeps its own number; only xor
// may read from a group before its own.
unsigned source_lane(Word word, unsigned lane, unsigned amount, unsigned width) {
  const unsigned begin = lane & ~(width - 1U);
  const unsigned end = begin + width;
  switch (word) {
    case Word::kShfl:
      return begin | (amount & (width - 1U));
    case Word::kShflXor:
      return (lane ^ amount) < end ? lane ^ amount : lane;
    case Word::kShflUp:
      return lane >= begin + amount ? lane - amount : lane;
    default:
      return lane + amount < end ? lane + amount : lane;
  }
}

struct Exchange {
  std::uint64_t given;
  std::uint64_t taken;
  unsigned source;
};

void exchange_all(void* const* arguments) {
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    auto* const mine = static_cast<Exchange*>(arguments[lane]);
    mine->taken = static_cast<const Exchange*>(arguments[mine->source])->given;
  }
}

struct Vote {
  bool mine;
  unsigned all;
};

void count_votes(void* const* arguments) {
  unsigned all = 0;
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    all |= static_cast<unsigned>(static_cast<const Vote*>(arguments[lane])->mine) << lane;
  }
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    static_cast<Vote*>(arguments[lane])->all = all;
  }
}

void check_same(const WarpMeeting& meeting, Word word, Place at) {
  if (meeting.word == word && meeting.at == at) return;
  machine.fail(at, fmt::format("divergent warp: this lane is at {}, others wait at {} {}",
                               name(word), name(meeting.word), to_string(meeting.at)));
}

}  // namespace

void collective(Word word, Place at, void* argument, void (*work)(void* const* arguments)) {
  const Thread& me = machine.current();
  WarpMeeting& meeting = machine.meeting(me.warp());
  if (meeting.arrived == 0) {
    meeting.word = word;
    meeting.at = at;
  } else {
    check_same(meeting, word, at);
  }
  Ordering& ordering = meeting.orderings[meeting.times % 2];
  if (word == Word::kSyncwarp) ordering.release();
  meeting.arguments[me.lane()] = argument;
  meeting.arrived |= 1U << me.lane();
  if (meeting.arrived == kAllLanes) {
    meeting.arrived = 0;
    ++meeting.times;
    work(meeting.arguments);
    machine.make_warp_ready(me.warp());
    machine.maybe_yield();
  } else {
    machine.wait(word, at);
  }
  if (word == Word::kSyncwarp) ordering.acquire();
}

void sync_warp(unsigned mask, Place at) {
  check_mask(Word::kSyncwarp, mask, at);
  collective(Word::kSyncwarp, at, nullptr, [](void* const*) {});
}

std::uint64_t shuffle(Word word, unsigned mask, std::uint64_t bits, int amount, int width,
                      Place at) {
  // __shfl_sync takes any lane, modulo the width.
  if (word == Word::kShfl) amount &= 31;
  check_shuffle(word, mask, amount, width, at);
  const unsigned source = source_lane(word, machine.current().lane(), static_cast<unsigned>(amount),
                                      static_cast<unsigned>(width));
  Exchange exchange{bits, 0, source};
  collective(word, at, &exchange, exchange_all);
  return exchange.taken;
}

unsigned ballot(Word word, unsigned mask, bool mine, Place at) {
  check_mask(word, mask, at);
  Vote vote{mine, 0};
  collective(word, at, &vote, count_votes);
  return vote.all;
}

}  // namespace varve::emulator
