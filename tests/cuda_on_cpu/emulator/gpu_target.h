// For a C++ compiler without a GPU: the words of kernels/cuda/gpu.h on an emulator that runs every
// CUDA thread as a fiber and checks what it does.
//
// What it finds is a KernelError, thrown where the host waits for the kernel, that names the
// kernel, the block, the thread and the line:
//   - a barrier, or a word of a warp, that some thread never reaches, or reaches at another line
//   - masks and blocks that are not of whole warps; launches that no GPU could start
//   - cp.async and ldmatrix with wrong alignment or outside of the shared memory
//   - copies that nobody waited for
//   - writes just outside of the shared memory
//
// Wrong values follow from reading shared memory that nobody wrote (it is NaN), or copies that have
// not arrived. Results that depend on the order of threads differ between schedules (schedule.h).
// The address sanitizer adds every access out of bounds, the thread sanitizer every race within a
// block, both with the line.
//
// What it cannot find: what needs a fence, since everything is sequentially consistent; races
// between blocks that change no value; and whatever only ptxas or the hardware does. A thread that
// spins until another one writes something hangs: threads change places at CUDA's words only.
#pragma once

#include <cuda_runtime_api.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/cuda_on_cpu/device_queue.h"
#include "tests/cuda_on_cpu/emulator/grid.h"
#include "tests/cuda_on_cpu/emulator/registry.h"
#include "tests/cuda_on_cpu/emulator/words.h"

namespace varve::gpu {

struct Launch {
  dim3 grid, block;
  unsigned shared = 0;  // bytes of dynamic shared memory
  cudaStream_t stream = nullptr;
};

namespace detail {

// As one thread. (std::apply would add half a dozen frames to what a sanitizer prints.)
template <auto* Kernel, class... P>
void call(const void* arguments) {
  const auto& values = *static_cast<const std::tuple<P...>*>(arguments);
  const auto call_with = [&values]<std::size_t... I>(std::index_sequence<I...>) {
    Kernel(std::get<I>(values)...);
  };
  call_with(std::index_sequence_for<P...>());
}

template <auto* Kernel, class... P>
void launch_as(void (*)(P...), const Launch& how, std::type_identity_t<P>... args) {
  static_assert((!std::is_reference_v<P> && ...), "a GPU cannot follow the host's references");
  emulator::KernelRecord& record = emulator::kernel_record<Kernel>;
  emulator::check_grid(record.name(), how.grid, how.block, how.shared);
  record.count_launch();
  fakes::enqueue(how.stream, std::string(record.name()),
                 [how, arguments = std::tuple<P...>(args...)] {
                   emulator::run_grid({emulator::kernel_record<Kernel>.name(), how.grid, how.block,
                                       how.shared, call<Kernel, P...>, &arguments});
                 });
}

}  // namespace detail

template <auto* Kernel, class... A>
void launch(const Launch& how, const A&... args) {
  detail::launch_as<Kernel>(Kernel, how, args...);
}

}  // namespace varve::gpu
