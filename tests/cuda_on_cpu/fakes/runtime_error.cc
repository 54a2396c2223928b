#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tests/cuda_on_cpu/fakes/call.h"

namespace varve::fakes {
namespace {

struct Text {
  cudaError_t error;
  const char* name;
  const char* text;
};

// The errors that the fakes give, in the runtime's words.
constexpr std::array kTexts = {
    Text{cudaSuccess, "cudaSuccess", "no error"},
    Text{cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    Text{cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    Text{cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    Text{cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection",
         "invalid copy direction for memcpy"},
    Text{cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction",
         "invalid device function"},
    Text{cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    Text{cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    Text{cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle",
         "invalid resource handle"},
    Text{cudaErrorIllegalState, "cudaErrorIllegalState",
         "the operation cannot be performed in the present state"},
    Text{cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    Text{cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
         "an illegal memory access was encountered"},
    Text{cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
         "part or all of the requested memory range is already mapped"},
    Text{cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
         "pointer does not correspond to a registered memory region"},
    Text{cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    Text{cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    Text{cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    Text{cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
         "operation not permitted when stream is capturing"},
    Text{cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
         "operation failed due to a previous error during capture"},
    Text{cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
         "operation would result in a merge of separate capture sequences"},
    Text{cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
         "capture was not ended in the same stream as it began"},
    Text{cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined",
         "capturing stream has unjoined work"},
    Text{cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
         "dependency created on uncaptured work in another stream"},
    Text{cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
         "operation would make the legacy stream depend on a capturing blocking stream"},
    Text{cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
         "operation not permitted on an event last recorded in a capturing stream"},
    Text{cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
         "attempt to terminate a thread-local capture sequence from another thread"},
    Text{cudaErrorGraphExecUpdateFailure, "cudaErrorGraphExecUpdateFailure",
         "the graph update was not performed because it included changes which violated "
         "constraints specific to instantiated graph update"},
};

const Text* find(cudaError_t error) {
  const auto* found = std::find_if(kTexts.begin(), kTexts.end(),
                                   [error](const Text& text) { return text.error == error; });
  return found == kTexts.end() ? nullptr : found;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::HostThread;

cudaError_t cudaGetLastError() {
  return std::exchange(HostThread::current().last_error, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() {
  return HostThread::current().last_error;
}

const char* cudaGetErrorName(cudaError_t error) {
  const auto* text = varve::fakes::find(error);
  return text != nullptr ? text->name : "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  const auto* text = varve::fakes::find(error);
  return text != nullptr ? text->text : "unrecognized error code";
}

}  // extern "C"
