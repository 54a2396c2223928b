#include "tests/cuda_on_cpu/fakes/call.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>

#include "tests/cuda_on_cpu/fakes/capture.h"
#include "tests/cuda_on_cpu/fakes/idle_driver.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {
namespace {

constexpr std::chrono::microseconds kRest{50};

std::atomic<int> threads{0};
thread_local bool has_called = false;
thread_local const char* running_work = nullptr;

}  // namespace

InsideWork::InsideWork(const char* what) : outer_(std::exchange(running_work, what)) {}

InsideWork::~InsideWork() {
  running_work = outer_;
}

const char* InsideWork::what() {
  return running_work;
}

HostThread::HostThread() {
  ++threads;
  has_called = true;
}

HostThread::~HostThread() {
  --threads;
  has_called = false;
}

HostThread& HostThread::current() {
  thread_local HostThread thread;
  return thread;
}

bool HostThread::known() {
  return has_called;
}

int HostThread::count() {
  return threads;
}

Call::Call(const char* name, Kind kind)
    : name_(name), machine_(Machine::get()), thread_(HostThread::current()) {
  if (InsideWork::what() != nullptr) {
    throw KernelError(fmt::format("{} is called by {}", name, InsideWork::what()));
  }
  lock_ = std::unique_lock(machine_.mutex());
  thread_.last_call = machine_.last_call = Machine::Clock::now();
  if (kind == Kind::kPlain) thread_.stuck_since.reset();
  if (HostThread::count() > 1 || machine_.host_functions > 0) start_idle_driver();
}

cudaError_t Call::refuse(cudaError_t error, const std::string& why) {
  explain(why);
  return answer(error);
}

cudaError_t Call::answer(cudaError_t error) {
  if (error != cudaSuccess) thread_.last_error = error;
  return error;
}

void Call::explain(const std::string& why) {
  thread_.refusal = fmt::format("{}: {}", name_, why);
  fmt::print(stderr, "fake CUDA: {}\n", thread_.refusal);
}

cudaError_t Call::check_stream(cudaStream_t stream) {
  if (stream == nullptr) {
    if (invalidate_captures(machine_, thread_)) {
      return refuse(cudaErrorStreamCaptureImplicit, "the default stream, during a capture");
    }
    return refuse(cudaErrorInvalidResourceHandle,
                  "the default stream: it orders work that nobody asked to be ordered");
  }
  if (!machine_.knows(stream)) {
    return refuse(cudaErrorInvalidResourceHandle, "no such stream, or a destroyed one");
  }
  if (stream->capture != nullptr && stream->capture->invalid) {
    return refuse(cudaErrorStreamCaptureInvalidated, "the stream's capture is no longer valid");
  }
  return cudaSuccess;
}

cudaError_t Call::check_device(int device) {
  if (device >= 0 && device < machine_.devices()) return cudaSuccess;
  if (machine_.devices() == 0) return refuse(cudaErrorNoDevice, "there is no device");
  return refuse(cudaErrorInvalidDevice, fmt::format("device {} of {}", device, machine_.devices()));
}

cudaError_t Call::check_no_capture() {
  if (!invalidate_captures(machine_, thread_)) return cudaSuccess;
  return refuse(cudaErrorStreamCaptureUnsupported, "not during a stream capture");
}

cudaError_t Call::report(const std::exception_ptr& failure) {
  if (failure == nullptr) return cudaSuccess;
  answer(cudaErrorLaunchFailure);
  if (std::uncaught_exceptions() > 0) return cudaErrorLaunchFailure;
  std::rethrow_exception(failure);
}

void Call::rest() {
  lock_.unlock();
  std::this_thread::sleep_for(kRest);
  lock_.lock();
}

}  // namespace varve::fakes
