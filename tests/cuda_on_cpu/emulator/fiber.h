// A stack and a place to go on from. Switching is Boost's fcontext, some 8 ns: ucontext asks the
// kernel for signal masks on the way, and is 40 times slower.
#pragma once

#include <cstddef>

namespace varve::emulator {

/// A fiber; or, never started, the thread of the host that runs fibers.
class Fiber {
 public:
  Fiber() = default;
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Gives it a stack and sets it to the beginning of `main`, which must never return. If it was
  /// started before, what stands on its stack is forgotten, not unwound.
  /// Its number is what the thread sanitizer calls it; and it spreads the stacks over the cache:
  /// at the same offset of their pages they would all share a few lines.
  void start(void (*main)(), std::size_t number);

  /// From this fiber, which runs, to that one, until somebody switches back.
  void switch_to(Fiber& to);

  /// Of the host's fiber: the calling thread is the host from now on.
  void adopt_thread();

 private:
  struct Switch {
    Fiber* from;
    Fiber* to;
  };
  struct Entry;
  static void arrive(void* context, const Switch& way);
  void map_stack();

  void* context_ = nullptr;  // where it stopped
  void (*main_)() = nullptr;
  void* mapping_ = nullptr;      // the stack, and below it a page that faults
  const void* stack_ = nullptr;  // lowest byte; the host's is learned at the first switch
  std::size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;  // the address sanitizer's
  void* thread_ = nullptr;      // the thread sanitizer's
};

}  // namespace varve::emulator
