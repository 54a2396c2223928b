// Mistakes that can be put into the sample kernels, to show which leg of the emulator finds which.
#pragma once

namespace varve::samples {

enum class Bug : int {
  kNone = 0,
  // In row_norm.
  kNoBarrierBeforeRead = 1,
  kWrongLane = 2,
  kPastTheRow = 3,
  // In select_top.
  kPlainAdd = 4,  // for an atomicAdd
  kSkippedBarrier = 5,
  kNoBarrierBeforeWrite = 6,
  // In prefill.
  kOneKeyTooMany = 7,   // it is masked later: the values are right
  kOneGroupTooFew = 8,  // is waited for
  kNoBarrierAfterWait = 9,
  kNoBarrierBeforeReuse = 10,
  kWrongFragment = 11,
  // In decode.
  kNextElement = 12,  // which belongs to another warp
  // In row_norm.
  kLanesReturn = 13,  // before a word of the whole warp
  // A float atomicAdd does not compile: builtins_test.cc.
  kFloatAtomic = 14,
  // In prefill.
  kNoZeroFill = 15,
  // In decode.
  kMisaligned = 16,
  kOneForAllBlocks = 17,  // an element that each block should have of its own
  // In leg_main.cc: a shuffle orders no memory.
  kShuffleForSyncwarp = 18,
};

}  // namespace varve::samples
