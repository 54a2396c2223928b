#include "tests/cuda_on_cpu/ptx/run.h"

#include <cstring>
#include <string>

#include "tests/cuda_on_cpu/kernel_error.h"
#include "tests/cuda_on_cpu/ptx/names.h"

namespace varve::ptx {
namespace {

std::vector<unsigned char> lay_out(const Program& program, std::span<const Argument> arguments) {
  const std::vector<Variable>& params = program.function->params;
  const std::string kernel = readable_name(program.function->name);
  if (arguments.size() != params.size()) {
    throw KernelError(kernel + ": " + std::to_string(arguments.size()) + " arguments for " +
                      std::to_string(params.size()) + " parameters");
  }
  std::vector<unsigned char> bytes(program.param_bytes);
  for (std::size_t n = 0; n < params.size(); ++n) {
    if (arguments[n].bytes != params[n].bytes) {
      throw KernelError(kernel + ": argument " + std::to_string(n) + " has " +
                        std::to_string(arguments[n].bytes) + " bytes, the parameter " +
                        std::to_string(params[n].bytes));
    }
    std::memcpy(bytes.data() + program.param_offsets[n], arguments[n].data, arguments[n].bytes);
  }
  return bytes;
}

}  // namespace

void run_grid(const Program& program, const Grid& grid, std::span<const Argument> arguments,
              const Options& options) {
  Block block(program, grid.blocks, grid.threads, grid.shared, options,
              lay_out(program, arguments));
  const std::size_t count = grid.blocks.count();
  for (std::size_t n = 0; n < count; ++n) {
    const std::size_t index = options.reverse ? count - 1 - n : n;
    block.run({static_cast<unsigned>(index % grid.blocks.x),
               static_cast<unsigned>(index / grid.blocks.x % grid.blocks.y),
               static_cast<unsigned>(index / grid.blocks.x / grid.blocks.y)});
  }
}

}  // namespace varve::ptx
