#include "tests/cuda_on_cpu/emulator/grid.h"

#include <cstdint>
#include <string>

#include "common/error.h"
#include "tests/cuda_on_cpu/emulator/report.h"
#include "tests/cuda_on_cpu/emulator/shared_memory.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::emulator {
namespace {

constexpr unsigned kMaxBlockDepth = 64;
constexpr unsigned kMaxBlocksX = 0x7fffffff;
constexpr unsigned kMaxBlocksYZ = 65535;

bool none(dim3 d) {
  return d.x == 0 || d.y == 0 || d.z == 0;
}

}  // namespace

void check_grid(std::string_view kernel, dim3 blocks, dim3 threads, unsigned shared) {
  const auto because = [kernel](const std::string& reason) {
    return fmt::format("kernel {} cannot be launched: {}", kernel, reason);
  };
  const std::uint64_t count = std::uint64_t{threads.x} * threads.y * threads.z;
  if (none(threads) || count > kMaxBlockThreads || threads.z > kMaxBlockDepth) {
    throw DeviceError(because(fmt::format("a block of {} threads", to_string(threads))));
  }
  if (none(blocks) || blocks.x > kMaxBlocksX || blocks.y > kMaxBlocksYZ ||
      blocks.z > kMaxBlocksYZ) {
    throw DeviceError(because(fmt::format("a grid of {} blocks", to_string(blocks))));
  }
  if (shared > SharedMemory::kMaxBytes) {
    throw DeviceError(because(fmt::format("{} bytes of shared memory", shared)));
  }
  if (count % kWarpThreads != 0) {
    throw KernelError(
        because(fmt::format("a block of {} threads is not of whole warps", to_string(threads))));
  }
}

}  // namespace varve::emulator
