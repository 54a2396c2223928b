// What a launch asks of the emulator.
#pragma once

#include <vector_types.h>

#include <string_view>

namespace varve::emulator {

inline constexpr unsigned kWarpThreads = 32;
inline constexpr unsigned kMaxBlockThreads = 1024;

struct Grid {
  std::string_view kernel;  // its name, for messages
  dim3 blocks, threads;
  unsigned shared;                      // bytes of dynamic shared memory
  void (*call)(const void* arguments);  // one thread's work
  const void* arguments;
};

/// DeviceError if no GPU that we build for could start it, KernelError if a house rule forbids it:
/// blocks are of whole warps.
void check_grid(std::string_view kernel, dim3 blocks, dim3 threads, unsigned shared);

/// Runs it to its end. KernelError for the first thing that went wrong.
void run_grid(const Grid& grid);

}  // namespace varve::emulator
