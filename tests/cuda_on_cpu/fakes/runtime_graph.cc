#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <memory>
#include <utility>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/fakes/capture.h"

namespace varve::fakes {
namespace {

cudaError_t begin(Call& call, cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (stream->capture != nullptr) {
    return call.refuse(cudaErrorStreamCaptureUnsupported, "the stream is capturing already");
  }
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = stream;
  stream->capture = capture;
  call.machine().captures().push_back(std::move(capture));
  return cudaSuccess;
}

void close(Machine& machine, const std::shared_ptr<Capture>& capture) {
  for (const auto& [stream, frontier] : capture->frontier) {
    if (CUstream_st* each = machine.find(stream)) each->capture = nullptr;
  }
  capture->origin->capture = nullptr;
  std::erase(machine.captures(), capture);
}

cudaError_t end(Call& call, cudaStream_t stream, cudaGraph_t* graph) {
  if (graph == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the graph");
  *graph = nullptr;
  if (stream == nullptr || !call.machine().knows(stream) || stream->capture == nullptr) {
    return call.refuse(cudaErrorIllegalState, "the stream is not capturing");
  }
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id()) {
    return call.refuse(cudaErrorStreamCaptureWrongThread, "another thread began the capture");
  }
  if (capture->origin != stream) {
    capture->invalid = true;
    return call.refuse(cudaErrorStreamCaptureUnmatched, "the capture began in another stream");
  }
  close(call.machine(), capture);
  if (capture->invalid) {
    return call.refuse(cudaErrorStreamCaptureInvalidated, "a call broke the capture's rules");
  }
  if (!capture->joined()) {
    return call.refuse(cudaErrorStreamCaptureUnjoined,
                       "the stream has not waited for all streams that joined the capture");
  }
  *graph = new CUgraph_st{std::move(capture->nodes)};
  return cudaSuccess;
}

cudaStreamCaptureStatus status(const CUstream_st& stream) {
  if (stream.capture == nullptr) return cudaStreamCaptureStatusNone;
  return stream.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                 : cudaStreamCaptureStatusActive;
}

// cudaGraphExecUpdateSuccess, or what differs that may not.
cudaGraphExecUpdateResult compare(const std::vector<Node>& before, const std::vector<Node>& now) {
  if (before.size() != now.size()) return cudaGraphExecUpdateErrorTopologyChanged;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (before[i].after != now[i].after) return cudaGraphExecUpdateErrorTopologyChanged;
    if (before[i].task.kind != now[i].task.kind) return cudaGraphExecUpdateErrorNodeTypeChanged;
  }
  return cudaGraphExecUpdateSuccess;
}

cudaError_t update(Call& call, cudaGraphExec_t instance, cudaGraph_t graph,
                   cudaGraphExecUpdateResultInfo* info) {
  if (instance == nullptr || graph == nullptr) {
    return call.refuse(cudaErrorInvalidValue, "no graph");
  }
  const cudaGraphExecUpdateResult result = compare(*instance->nodes, graph->nodes);
  if (info != nullptr) *info = {result, nullptr, nullptr};
  if (result != cudaGraphExecUpdateSuccess) {
    return call.refuse(cudaErrorGraphExecUpdateFailure,
                       result == cudaGraphExecUpdateErrorNodeTypeChanged
                           ? "a node is of another kind"
                           : "other nodes, or in another order");
  }
  instance->nodes = std::make_shared<const std::vector<Node>>(graph->nodes);
  return cudaSuccess;
}

cudaError_t instantiate(Call& call, cudaGraphExec_t* instance, cudaGraph_t graph) {
  if (instance == nullptr || graph == nullptr) {
    return call.refuse(cudaErrorInvalidValue, "no graph");
  }
  *instance = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t launch(Call& call, cudaGraphExec_t instance, cudaStream_t stream) {
  if (instance == nullptr) return call.refuse(cudaErrorInvalidValue, "no graph");
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (stream->capture != nullptr) {
    return call.refuse(cudaErrorStreamCaptureUnsupported, "graphs in graphs are not faked");
  }
  call.machine().push(*stream, {fmt::format("a graph of {} nodes", instance->nodes->size()),
                                launch_graph(instance->nodes, instance->running)});
  return cudaSuccess;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  Call call("cudaStreamBeginCapture");
  return varve::fakes::begin(call, stream, mode);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  Call call("cudaStreamEndCapture");
  return varve::fakes::end(call, stream, graph);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  Call call("cudaStreamIsCapturing");
  if (stream == nullptr || !call.machine().knows(stream)) return call.check_stream(stream);
  *status = varve::fakes::status(*stream);
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  Call call("cudaThreadExchangeStreamCaptureMode");
  std::swap(call.thread().capture_mode, *mode);
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  Call call("cudaGraphGetNodes");
  if (graph == nullptr || count == nullptr) return call.refuse(cudaErrorInvalidValue, "no graph");
  if (nodes != nullptr) return call.refuse(cudaErrorNotSupported, "only their number is faked");
  *count = graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* instance, cudaGraph_t graph, unsigned long long) {
  Call call("cudaGraphInstantiate");
  return varve::fakes::instantiate(call, instance, graph);
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* instance, cudaGraph_t graph,
                                          unsigned long long) {
  Call call("cudaGraphInstantiateWithFlags");
  return varve::fakes::instantiate(call, instance, graph);
}

cudaError_t cudaGraphExecUpdate(cudaGraphExec_t instance, cudaGraph_t graph,
                                cudaGraphExecUpdateResultInfo* info) {
  Call call("cudaGraphExecUpdate");
  return varve::fakes::update(call, instance, graph, info);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t instance, cudaStream_t stream) {
  Call call("cudaGraphLaunch");
  return varve::fakes::launch(call, instance, stream);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t instance) {
  Call call("cudaGraphExecDestroy");
  delete instance;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  Call call("cudaGraphDestroy");
  delete graph;
  return cudaSuccess;
}

}  // extern "C"
