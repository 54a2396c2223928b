// Work of a stream, collected and started as one: a CUDA graph. What a decode step puts on a stream
// is hundreds of small kernels, which a device starts faster from a graph than one by one.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace varve::cuda {

/// A graph is updated with what is collected next if that is alike, and made anew if it is not.
class StepGraph {
 public:
  StepGraph() = default;
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;
  ~StepGraph();

  /// From now on calls that put work on the stream only collect it. They must be of this thread,
  /// and must neither wait for the stream, nor allocate, nor free.
  void collect(cudaStream_t stream);
  bool collecting() const { return collecting_; }
  /// Puts what was collected on the stream, and ends collecting.
  void launch(cudaStream_t stream);
  /// Forgets what was collected.
  void drop(cudaStream_t stream) noexcept;

  std::uint64_t launches() const { return launches_; }
  std::uint64_t instances() const { return instances_; }

 private:
  void update(cudaGraph_t graph);

  bool collecting_ = false;
  cudaGraphExec_t instance_ = nullptr;
  std::uint64_t launches_ = 0;
  std::uint64_t instances_ = 0;  // that were made: each takes about as long as a step
};

}  // namespace varve::cuda
