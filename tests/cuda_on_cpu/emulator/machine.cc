#include "tests/cuda_on_cpu/emulator/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/emulator/report.h"
#include "tests/cuda_on_cpu/emulator/variables.h"
#include "tests/cuda_on_cpu/kernel_error.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace varve::emulator {
namespace {

std::string whereabouts(const Thread& thread) {
  if (thread.returned) return "returned from the kernel";
  return fmt::format("at {} {}", name(thread.waits_in), to_string(thread.waits_at));
}

}  // namespace

Machine machine;

void run_grid(const Grid& grid) {
  machine.run(grid);
}

unsigned char* dynamic_shared() {
  return machine.shared().data();
}

void Machine::run(const Grid& grid) {
  const std::lock_guard lock(mutex_);
  prepare(grid);
  const std::uint64_t blocks = std::uint64_t{grid.blocks.x} * grid.blocks.y * grid.blocks.z;
  const BlockOrder order(schedule_.order, blocks, random_);
  for (std::uint64_t i = 0; i < blocks; ++i) run_block(order(i));
}

void Machine::prepare(const Grid& grid) {
  grid_ = &grid;
  schedule_ = schedule();
  random_ = Random(schedule_.seed);
  blockDim = grid.threads;
  gridDim = grid.blocks;
  shared_.resize(grid.shared);
  prepare_threads(grid.threads);
  host_.adopt_thread();
}

void Machine::prepare_threads(dim3 block) {
  if (all_threads_ == nullptr) all_threads_ = std::make_unique<Thread[]>(kMaxBlockThreads);
  threads_in_block_ = block.x * block.y * block.z;
  for (; started_threads_ < threads_in_block_; ++started_threads_) {
    all_threads_[started_threads_].number = started_threads_;
    all_threads_[started_threads_].fiber.start(thread_main, started_threads_);
  }
  unsigned number = 0;
  for (unsigned z = 0; z < block.z; ++z) {
    for (unsigned y = 0; y < block.y; ++y) {
      for (unsigned x = 0; x < block.x; ++x) all_threads_[number++].index = {x, y, z};
    }
  }
}

void Machine::run_block(std::uint64_t number) {
  const std::uint64_t row = number / gridDim.x;
  blockIdx = {static_cast<unsigned>(number % gridDim.x), static_cast<unsigned>(row % gridDim.y),
              static_cast<unsigned>(row / gridDim.y)};
  shared_.make_undefined();
  running_threads_ = threads_in_block_;
  make_all_ready();
  block_begins_.release();
  run_next(host_);
  thread_ends_.acquire();
  if (failure_ != nullptr) {
    forget_block();
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  check_end_of_block();
}

void Machine::thread_main() {
  for (;;) machine.run_thread(*machine.current_);
}

// One block's work; returns when the next block begins.
void Machine::run_thread(Thread& me) {
  try {
    block_begins_.acquire();
    me.returned = false;
    grid_->call(grid_->arguments);
    leave_kernel(me);
    run_next(me.fiber);
    return;
  } catch (...) {
    failure_ = std::current_exception();
  }
  // Not in the handler, which belongs to this fiber. The host will not come back to it.
  thread_ends_.release();
  me.fiber.switch_to(host_);
}

void Machine::leave_kernel(Thread& me) {
  if (!me.copies.empty()) {
    throw KernelError(fmt::format("{}, thread {}: returned with copies of cp_async16 under way",
                                  place_in_grid(), to_string(me.index)));
  }
  me.copies.clear();
  me.returned = true;
  thread_ends_.release();
  ready_.remove(me.number);
  --running_threads_;
}

// The host goes on when no thread is left.
void Machine::run_next(Fiber& from) {
  if (ready_.none()) {
    if (running_threads_ > 0) throw KernelError(describe_deadlock());
    from.switch_to(host_);
    return;
  }
  Thread& next = all_threads_[ready_.first(schedule_.order, random_)];
  if (&next.fiber == &from) return;
  current_ = &next;
  threadIdx = next.index;
  from.switch_to(next.fiber);
}

void Machine::wait(Word word, Place at) {
  Thread& me = *current_;
  me.waits_in = word;
  me.waits_at = at;
  ready_.remove(me.number);
  thread_ends_.release();  // in case it never goes on
  run_next(me.fiber);
}

void Machine::maybe_yield() {
  if (schedule_.order == Order::kRandom) run_next(current_->fiber);
}

void Machine::forget_block() {
  for (unsigned i = 0; i < threads_in_block_; ++i) {
    all_threads_[i].fiber.start(thread_main, i);
    all_threads_[i].copies.clear();
  }
  ready_.clear();
  barrier_ = {};
  meetings_ = {};
}

void Machine::check_end_of_block() const {
  if (shared_.guards_are_intact()) return;
  throw KernelError(
      fmt::format("{}: some thread wrote outside of the block's {} bytes of shared memory",
                  place_in_grid(), shared_.bytes()));
}

void Machine::fail(Place at, const std::string& what) const {
  throw KernelError(fmt::format("{}, thread {}, {}: {}", place_in_grid(),
                                to_string(current_->index), to_string(at), what));
}

std::string Machine::place_in_grid() const {
  return fmt::format("kernel {}, block {}", grid_->kernel, to_string(blockIdx));
}

std::string Machine::describe_deadlock() const {
  struct Group {
    std::string where;
    unsigned threads;
    uint3 first;
  };
  std::vector<Group> groups;
  for (unsigned i = 0; i < threads_in_block_; ++i) {
    const std::string where = whereabouts(all_threads_[i]);
    const auto same = [&where](const Group& group) { return group.where == where; };
    const auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) {
      groups.push_back({where, 1, all_threads_[i].index});
    } else {
      ++group->threads;
    }
  }
  std::string text = place_in_grid() + ": deadlock";
  for (const Group& group : groups) {
    text += fmt::format("; {} thread{} {}, the first {}", group.threads,
                        group.threads == 1 ? "" : "s", group.where, to_string(group.first));
  }
  return text;
}

}  // namespace varve::emulator
