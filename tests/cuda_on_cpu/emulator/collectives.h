// What the lanes of a warp do together. All 32 must come, at one line: masks are full by house
// rule.
#pragma once

#include <cstdint>

#include "tests/cuda_on_cpu/emulator/place.h"

namespace varve::emulator {

/// Every lane brings an argument; the last one to come works on the arguments of all, by lane.
/// Only __syncwarp orders memory, as in CUDA.
void collective(Word word, Place at, void* argument, void (*work)(void* const* arguments));

void sync_warp(unsigned mask, Place at);

/// One of the four __shfl words: 32 or 64 bits go round. `amount` is what the word takes: a lane, a
/// distance, or a lane mask.
std::uint64_t shuffle(Word word, unsigned mask, std::uint64_t bits, int amount, int width,
                      Place at);

/// One bit per lane, for __ballot_sync, __any_sync and __all_sync.
unsigned ballot(Word word, unsigned mask, bool vote, Place at);

}  // namespace varve::emulator
