// What the checkers of CUDA code without a GPU find: the emulator, the PTX interpreter and the fake
// libraries.
#pragma once

#include <stdexcept>
#include <string>

namespace varve {

/// A kernel, or a host program on the fake device, did what it must not. Thrown where the work
/// runs, and again where the host waits for it (cudaStreamSynchronize and the like). The message
/// names the kernel, the block, the thread and the line, as far as there are any.
struct KernelError : std::runtime_error {
  explicit KernelError(const std::string& message) : std::runtime_error(message) {}
};

}  // namespace varve
