// For the emulator's own tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/emulator/schedule.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::emulator {

/// Launches one block of so many threads; `shared` bytes of dynamic shared memory.
template <auto* Kernel, class... A>
void run_block(unsigned threads, unsigned shared, const A&... args) {
  gpu::launch<Kernel>({dim3(1), dim3(threads), shared}, args...);
}

/// Puts back what was before.
class WithSchedule {
 public:
  explicit WithSchedule(const char* text) : before_(schedule()) {
    set_schedule(parse_schedule(text));
  }
  ~WithSchedule() { set_schedule(before_); }
  WithSchedule(const WithSchedule&) = delete;
  WithSchedule& operator=(const WithSchedule&) = delete;

 private:
  Schedule before_;
};

/// What a KernelError of `run` says; empty if there is none.
template <class Run>
std::string kernel_error(const Run& run) {
  try {
    run();
  } catch (const KernelError& error) {
    return error.what();
  }
  return {};
}

inline constexpr const char* kSchedules[] = {"forward", "reverse", "random:1", "random:2"};

}  // namespace varve::emulator
