#include "tests/cuda_on_cpu/fakes/fakes.h"

#include <utility>

#include "tests/cuda_on_cpu/device_queue.h"
#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {

void enqueue(cudaStream_t stream, std::string what, std::function<void()> work) {
  Call call("a kernel launch");
  if (call.check_stream(stream) != cudaSuccess) {
    throw KernelError(what + ": " + call.thread().refusal);
  }
  if (stream->device != call.thread().device) {
    throw KernelError(what + ": launched on a stream of another device than the current one");
  }
  call.machine().put(*stream, {std::move(what), NodeKind::kKernel,
                               [work = std::move(work)] { return once(work); }});
}

void pump() {
  if (!HostThread::known() || InsideWork::what() != nullptr) return;
  const auto waited = Machine::Clock::now() - HostThread::current().last_call;
  if (waited <= Machine::kPatience) return;
  Machine& machine = Machine::get();
  const std::lock_guard lock(machine.mutex());
  machine.advance(nullptr);
}

std::string last_refusal() {
  return HostThread::current().refusal;
}

void configure(const Settings& settings) {
  Call call("configure");
  call.machine().configure(settings);
  call.thread().device = 0;
}

}  // namespace varve::fakes
