#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <utility>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/capture.h"

namespace varve::fakes {
namespace {

// Fewer than 0 is more urgent. The fake device knows no urgency.
constexpr int kLeastPriority = 0;
constexpr int kGreatestPriority = -5;

cudaError_t create(Call& call, cudaStream_t* stream, unsigned flags) {
  if (stream == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the stream");
  if (const cudaError_t error = call.check_device(call.thread().device)) return error;
  if (flags != cudaStreamNonBlocking) {
    return call.refuse(cudaErrorNotSupported,
                       "only non-blocking streams: others are ordered with the default stream");
  }
  *stream = call.machine().make_stream(call.thread().device);
  return cudaSuccess;
}

cudaError_t check_not_captured(Call& call, cudaStream_t stream) {
  if (stream->capture == nullptr) return cudaSuccess;
  stream->capture->invalid = true;
  return call.refuse(cudaErrorStreamCaptureUnsupported, "the stream is capturing");
}

bool empty(const CUstream_st& stream) {
  return stream.ops.empty() && !stream.busy;
}

cudaError_t synchronize(Call& call, cudaStream_t stream) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (const cudaError_t error = check_not_captured(call, stream)) return error;
  call.machine().drive(call, stream, [stream] { return empty(*stream); });
  return call.report(std::exchange(stream->failure, nullptr));
}

cudaError_t query(Call& call, cudaStream_t stream) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (const cudaError_t error = check_not_captured(call, stream)) return error;
  if (!empty(*stream)) call.machine().advance(stream);
  if (const cudaError_t error = call.report(std::exchange(stream->failure, nullptr))) return error;
  return empty(*stream) ? cudaSuccess : call.answer(cudaErrorNotReady);
}

cudaError_t destroy(Call& call, cudaStream_t stream) {
  if (stream == nullptr || !call.machine().knows(stream)) {
    return call.refuse(cudaErrorInvalidResourceHandle, "no such stream, or a destroyed one");
  }
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    return call.refuse(cudaErrorStreamCaptureUnsupported, "the stream is capturing");
  }
  call.machine().retire(stream);
  return cudaSuccess;
}

// Counts while it is in a queue.
class QueuedHostFunction {
 public:
  QueuedHostFunction() { ++Machine::get().host_functions; }
  ~QueuedHostFunction() { --Machine::get().host_functions; }
  QueuedHostFunction(const QueuedHostFunction&) = delete;
  QueuedHostFunction& operator=(const QueuedHostFunction&) = delete;
};

cudaError_t launch_host_function(Call& call, cudaStream_t stream, cudaHostFn_t function,
                                 void* data) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (function == nullptr) return call.refuse(cudaErrorInvalidValue, "no function");
  const auto begin = [function, data] {
    return once([function, data, queued = std::make_shared<QueuedHostFunction>()] {
      Machine::get().outside([function, data] { function(data); });
    });
  };
  call.machine().put(*stream, {"a host function", NodeKind::kHost, begin});
  return cudaSuccess;
}

cudaError_t synchronize_device(Call& call) {
  const int device = call.thread().device;
  if (const cudaError_t error = call.check_device(device)) return error;
  if (const cudaError_t error = call.check_no_capture()) return error;
  Machine& machine = call.machine();
  machine.drive(call, nullptr, [&] { return machine.idle(device); });
  return call.report(machine.failure(device));
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  Call call("cudaStreamCreate");
  return varve::fakes::create(call, stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  Call call("cudaStreamCreateWithFlags");
  return varve::fakes::create(call, stream, flags);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  Call call("cudaStreamCreateWithPriority");
  return varve::fakes::create(call, stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = varve::fakes::kLeastPriority;
  if (greatest != nullptr) *greatest = varve::fakes::kGreatestPriority;
  return cudaSuccess;
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  Call call("cudaStreamGetFlags");
  if (const cudaError_t error = call.check_stream(stream)) return error;
  *flags = cudaStreamNonBlocking;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Call call("cudaStreamDestroy");
  return varve::fakes::destroy(call, stream);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  Call call("cudaStreamSynchronize");
  return varve::fakes::synchronize(call, stream);
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  Call call("cudaStreamQuery", Call::Kind::kPoll);
  return varve::fakes::query(call, stream);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  Call call("cudaLaunchHostFunc");
  return varve::fakes::launch_host_function(call, stream, function, data);
}

cudaError_t cudaDeviceSynchronize() {
  Call call("cudaDeviceSynchronize");
  return varve::fakes::synchronize_device(call);
}

}  // extern "C"
