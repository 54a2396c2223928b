#include "kernels/cuda/step_graph.h"

#include <utility>

#include "kernels/cuda/device.h"

namespace varve::cuda {
namespace {

/// A graph that was captured, until it is instantiated.
class Captured {
 public:
  explicit Captured(cudaStream_t stream) {
    check(cudaStreamEndCapture(stream, &graph_), "collect a step's work");
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  ~Captured() { static_cast<void>(cudaGraphDestroy(graph_)); }
  cudaGraph_t get() const { return graph_; }
  bool empty() const {
    std::size_t nodes = 0;
    check(cudaGraphGetNodes(graph_, nullptr, &nodes), "count a step's work");
    return nodes == 0;
  }

 private:
  cudaGraph_t graph_ = nullptr;
};

}  // namespace

StepGraph::~StepGraph() {
  if (instance_ != nullptr) static_cast<void>(cudaGraphExecDestroy(instance_));
}

void StepGraph::collect(cudaStream_t stream) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "collect a step's work");
  collecting_ = true;
}

void StepGraph::launch(cudaStream_t stream) {
  collecting_ = false;
  const Captured graph(stream);
  if (graph.empty()) return;
  update(graph.get());
  check(cudaGraphLaunch(instance_, stream), "start a step's work");
  ++launches_;
}

void StepGraph::update(cudaGraph_t graph) {
  if (instance_ != nullptr) {
    cudaGraphExecUpdateResultInfo info{};
    if (cudaGraphExecUpdate(instance_, graph, &info) == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // another one is made instead
    check(cudaGraphExecDestroy(std::exchange(instance_, nullptr)), "forget a step's work");
  }
  check(cudaGraphInstantiate(&instance_, graph, 0), "prepare a step's work");
  ++instances_;
}

void StepGraph::drop(cudaStream_t stream) noexcept {
  if (!std::exchange(collecting_, false)) return;
  cudaGraph_t graph = nullptr;
  static_cast<void>(cudaStreamEndCapture(stream, &graph));
  if (graph != nullptr) static_cast<void>(cudaGraphDestroy(graph));
}

}  // namespace varve::cuda
