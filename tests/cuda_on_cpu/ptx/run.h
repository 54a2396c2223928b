// Runs a kernel of a PTX module as a GPU would, one block after the other.
//
// This is the second of two checks of the same kernel source. The emulator (../emulator) compiles
// it with a host compiler; this interpreter runs what nvcc made of it. So it sees what the emulator
// cannot: the inline assembly, and whatever the compiler did. In return it knows no source types:
// an access that stays inside shared memory, but leaves its array, is right here.
//
// What it finds is a KernelError that names the kernel, the block, the thread and the line of the
// PTX, and the line of the source where nvcc was told to say it (-lineinfo):
//   - barriers that threads reach at different lines or not at all, masks whose lanes are
//   elsewhere;
//   - accesses outside of shared memory, and, if it is told what the kernel may touch, of global
//     memory; misaligned ones anywhere;
//   - copies (cp.async) that nobody waited for, divisions by zero, blocks that do not end.
// Wrong values follow from reading shared memory that nobody wrote, and copies before they arrive:
// both are NaN. What it does not know (wgmma, TMA, mbarrier, recursion) fails when it is run.
#pragma once

#include <cstddef>
#include <span>

#include "tests/cuda_on_cpu/ptx/machine.h"
#include "tests/cuda_on_cpu/ptx/program.h"

namespace varve::ptx {

struct Argument {
  const void* data;
  std::size_t bytes;
};

struct Grid {
  Extent blocks, threads;
  std::size_t shared = 0;  // bytes of dynamic shared memory
};

/// KernelError for the first thing that went wrong.
void run_grid(const Program& program, const Grid& grid, std::span<const Argument> arguments,
              const Options& options = {});

}  // namespace varve::ptx
