// The emulated GPU: runs the blocks of a grid one after the other, and the threads of a block as
// fibers, of which a waiting one jumps straight to the next that can go on.
//
// Everything is sequentially consistent, and a thread is interrupted at CUDA's words only: what
// lacks a __threadfence, or a race between two blocks, shows by its values or not at all.
#pragma once

#include <vector_types.h>

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "tests/cuda_on_cpu/emulator/async_copy.h"
#include "tests/cuda_on_cpu/emulator/fiber.h"
#include "tests/cuda_on_cpu/emulator/grid.h"
#include "tests/cuda_on_cpu/emulator/meetings.h"
#include "tests/cuda_on_cpu/emulator/place.h"
#include "tests/cuda_on_cpu/emulator/ready_threads.h"
#include "tests/cuda_on_cpu/emulator/sanitizer.h"
#include "tests/cuda_on_cpu/emulator/schedule.h"
#include "tests/cuda_on_cpu/emulator/shared_memory.h"

namespace varve::emulator {

/// One thread of a block.
struct Thread {
  unsigned warp() const { return number / kWarpThreads; }
  unsigned lane() const { return number % kWarpThreads; }

  Fiber fiber;
  unsigned number = 0;  // in its block
  uint3 index{};
  bool returned = false;
  Word waits_in{};  // where it waits, if it does
  Place waits_at;
  AsyncCopies copies;
};

class Machine {
 public:
  /// Returns when all blocks have run. KernelError for the first thing that went wrong.
  void run(const Grid& grid);

  // For the words. They are said by the current thread.
  Thread& current() { return *current_; }
  unsigned threads() const { return threads_in_block_; }
  Barrier& barrier() { return barrier_; }
  WarpMeeting& meeting(unsigned warp) { return meetings_[warp]; }
  SharedMemory& shared() { return shared_; }
  bool late_copies() const { return schedule_.copies == Copies::kLate; }

  /// The current thread goes on only when somebody makes it ready; others run meanwhile.
  void wait(Word word, Place at);
  void make_warp_ready(unsigned warp) { ready_.add_warp(warp); }
  void make_all_ready() { ready_.add_all(threads_in_block_ / kWarpThreads); }
  /// After something for which threads had waited: in a random order, any of them may go on first.
  void maybe_yield();

  /// Throws a KernelError that names the kernel, the block, the current thread and the line.
  [[noreturn]] void fail(Place at, const std::string& what) const;

 private:
  static void thread_main();

  void prepare(const Grid& grid);
  void prepare_threads(dim3 block);
  void run_block(std::uint64_t number);
  void run_thread(Thread& me);
  void leave_kernel(Thread& me);
  void run_next(Fiber& from);
  void forget_block();
  void check_end_of_block() const;
  std::string place_in_grid() const;
  std::string describe_deadlock() const;

  std::mutex mutex_;  // one grid at a time
  const Grid* grid_ = nullptr;
  Schedule schedule_;
  Random random_{0};
  SharedMemory shared_;

  std::unique_ptr<Thread[]> all_threads_;  // as many as a block may have
  unsigned started_threads_ = 0;           // of them have a stack
  unsigned threads_in_block_ = 0;
  unsigned running_threads_ = 0;  // that have not returned
  Thread* current_ = nullptr;
  Fiber host_;
  ReadyThreads ready_;
  Barrier barrier_;
  std::array<WarpMeeting, kMaxBlockThreads / kWarpThreads> meetings_;
  std::exception_ptr failure_;
  Ordering block_begins_, thread_ends_;
};

/// The one GPU: threadIdx and the like are global variables in CUDA's language, so there cannot be
/// a second.
extern Machine machine;

}  // namespace varve::emulator
