// For a C++ compiler without a GPU, like the emulator's gpu_target.h, but a launch interprets the
// PTX that nvcc made of the same source; see run.h. The kernels' bodies are compiled with the
// emulator's words and never run: what is wanted of them is their names and parameters.
//
// Which PTX: the files or folders of the environment variable VARVE_PTX, or of ptx::use().
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <string>
#include <tuple>
#include <type_traits>

#include "tests/cuda_on_cpu/device_queue.h"
#include "tests/cuda_on_cpu/emulator/grid.h"
#include "tests/cuda_on_cpu/emulator/registry.h"
#include "tests/cuda_on_cpu/emulator/words.h"
#include "tests/cuda_on_cpu/ptx/launch.h"

namespace varve::gpu {

struct Launch {
  dim3 grid, block;
  unsigned shared = 0;  // bytes of dynamic shared memory
  cudaStream_t stream = nullptr;
};

namespace detail {

template <auto* Kernel, class... P>
void launch_as(void (*)(P...), const Launch& how, std::type_identity_t<P>... args) {
  static_assert((std::is_trivially_copyable_v<P> && ...), "parameters are copied as bytes");
  emulator::KernelRecord& record = emulator::kernel_record<Kernel>;
  emulator::check_grid(record.name(), how.grid, how.block, how.shared);
  static constexpr std::array<std::size_t, sizeof...(P)> kBytes{sizeof(P)...};
  const ptx::Program& program =
      ptx::find_program(reinterpret_cast<const void*>(Kernel), record.name(), kBytes);
  record.count_launch();
  fakes::enqueue(how.stream, std::string(record.name()),
                 [how, &program, arguments = std::tuple<P...>(args...)] {
                   const auto run = [&](const P&... each) {
                     const std::array<ptx::Argument, sizeof...(P)> all{{{&each, sizeof each}...}};
                     ptx::run_program(program, how.grid, how.block, how.shared, all);
                   };
                   std::apply(run, arguments);
                 });
}

}  // namespace detail

template <auto* Kernel, class... A>
void launch(const Launch& how, const A&... args) {
  detail::launch_as<Kernel>(Kernel, how, args...);
}

}  // namespace varve::gpu
