// In a program that links this and the fake CUDA runtime, kernels that are interpreted may touch
// device memory alone, each access inside of one block.
#include "tests/cuda_on_cpu/fakes/machine.h"
#include "tests/cuda_on_cpu/ptx/launch.h"

namespace varve::ptx {
namespace {

// Of work that runs, which holds the machine's lock.
bool in_device_memory(const void* begin, std::size_t bytes) {
  const fakes::Block* const block = fakes::Machine::get().memory().find(begin);
  if (block == nullptr) return false;
  const auto before = static_cast<std::size_t>(static_cast<const std::byte*>(begin) - block->begin);
  return bytes <= block->bytes - before;
}

// An object file of this kind is linked for its effect.
[[maybe_unused]] const bool installed = [] {
  set_valid(in_device_memory);
  return true;
}();

}  // namespace
}  // namespace varve::ptx
