// What a launch does in a program that is built with ptx/gpu_target.h.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "tests/cuda_on_cpu/ptx/run.h"

namespace varve::ptx {

/// What launches search from now on, as Library::add has it: at first what the environment variable
/// VARVE_PTX names. Programs that were found before stay valid.
void use(const std::string& paths);

/// What kernels may touch from now on (Options::valid); nullptr: anything.
void set_valid(bool (*valid)(const void* begin, std::size_t bytes));

/// The program of a kernel of this process. std::runtime_error if the PTX has none.
const Program& find_program(const void* kernel, std::string_view name,
                            std::span<const std::size_t> parameter_bytes);

/// Runs it in the order that the emulator's schedule says (a random one: as its seed is odd or
/// even).
void run_program(const Program& program, dim3 blocks, dim3 threads, std::size_t shared,
                 std::span<const Argument> arguments);

}  // namespace varve::ptx
