#include <thread>

#include "tests/cuda_on_cpu/fakes/fixture.h"

namespace varve::fakes {
namespace {

using testing::Each;
using testing::ElementsAre;

class Graphs : public testing::TestWithParam<int> {
 protected:
  // Before the members that use the machine.
  struct Configured {
    Configured() { configure(all_orders()[static_cast<std::size_t>(GetParam())]); }
  };

  void begin(cudaStream_t stream, cudaStreamCaptureMode mode = cudaStreamCaptureModeThreadLocal) {
    EXPECT_CUDA(cudaStreamBeginCapture(stream, mode));
  }
  cudaGraph_t end(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    EXPECT_CUDA(cudaStreamEndCapture(stream, &graph));
    return graph;
  }
  cudaError_t end_error(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    const cudaError_t error = cudaStreamEndCapture(stream, &graph);
    EXPECT_EQ(graph, nullptr);
    return error;
  }
  void add(cudaStream_t stream, float* p, float value) {
    enqueue(stream, "add", [=] { *p += value; });
  }
  std::vector<float> read(const float* p, std::size_t count) {
    std::vector<float> out(count);
    EXPECT_CUDA(cudaMemcpyAsync(out.data(), p, count * 4, cudaMemcpyDeviceToHost, stream_));
    EXPECT_CUDA(cudaStreamSynchronize(stream_));
    return out;
  }

  Configured configured_;
  Resources resources_;
  cudaStream_t stream_ = resources_.stream();
  cudaStream_t other_ = resources_.stream();
  float* p_ = resources_.device<float>(8);
};

INSTANTIATE_TEST_SUITE_P(Orders, Graphs, testing::Range(0, 8));

TEST_P(Graphs, RecordAndDoNotRun) {
  EXPECT_CUDA(cudaMemsetAsync(p_, 0, 32, stream_));
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  begin(stream_);
  cudaStreamCaptureStatus status{};
  EXPECT_CUDA(cudaStreamIsCapturing(stream_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  add(stream_, p_, 1);
  EXPECT_CUDA(cudaMemsetAsync(p_ + 1, 0, 4, stream_));
  const cudaGraph_t graph = end(stream_);
  std::size_t nodes = 0;
  EXPECT_CUDA(cudaGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 2U);
  EXPECT_CUDA(cudaStreamIsCapturing(stream_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusNone);
  EXPECT_THAT(read(p_, 1), ElementsAre(0));
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  EXPECT_CUDA(cudaGraphDestroy(graph));
  for (int i = 0; i < 3; ++i) EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_THAT(read(p_, 1), ElementsAre(3));
}

TEST_P(Graphs, KeepTheOrderThatEventsMade) {
  const cudaEvent_t fork = resources_.event();
  const cudaEvent_t joined = resources_.event();
  begin(stream_);
  fill(stream_, p_, 8, 1);
  EXPECT_CUDA(cudaEventRecord(fork, stream_));
  EXPECT_CUDA(cudaStreamWaitEvent(other_, fork, 0));
  enqueue(other_, "double", [p = p_] { p[0] *= 2; });
  enqueue(other_, "increment", [p = p_] { p[0] += 1; });
  EXPECT_CUDA(cudaEventRecord(joined, other_));
  enqueue(stream_, "triple", [p = p_] { p[1] *= 3; });
  EXPECT_CUDA(cudaStreamWaitEvent(stream_, joined, 0));
  enqueue(stream_, "sum", [p = p_] { p[2] = p[0] + p[1]; });
  const cudaGraph_t graph = end(stream_);
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
  EXPECT_THAT(read(p_, 3), ElementsAre(3, 3, 6));
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

TEST_P(Graphs, OfOneInstanceDoNotOverlap) {
  EXPECT_CUDA(cudaMemsetAsync(p_, 0, 32, stream_));
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
  begin(stream_);
  // Right only if nothing comes between the two.
  enqueue(stream_, "read", [p = p_] { p[1] = p[0]; });
  enqueue(stream_, "write", [p = p_] { p[0] = p[1] + 1; });
  const cudaGraph_t graph = end(stream_);
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
  EXPECT_CUDA(cudaGraphLaunch(instance, other_));
  EXPECT_CUDA(cudaDeviceSynchronize());
  EXPECT_THAT(read(p_, 1), ElementsAre(2));
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

TEST_P(Graphs, CanBeUpdatedIfTheyHaveTheSameNodes) {
  const auto capture = [this](float value, bool more) {
    begin(stream_);
    fill(stream_, p_, 8, value);
    if (more) {
      EXPECT_CUDA(cudaMemsetAsync(p_, 0, 4, stream_));
    }
    return end(stream_);
  };
  const cudaGraph_t first = capture(1, false);
  const cudaGraph_t second = capture(2, false);
  const cudaGraph_t larger = capture(3, true);
  begin(stream_);
  EXPECT_CUDA(cudaMemsetAsync(p_, 0, 4, stream_));
  const cudaGraph_t other_kind = end(stream_);
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, first, 0));
  EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
  cudaGraphExecUpdateResultInfo info{};
  // A launch that is queued keeps what it had.
  EXPECT_CUDA(cudaGraphExecUpdate(instance, second, &info));
  EXPECT_EQ(info.result, cudaGraphExecUpdateSuccess);
  EXPECT_THAT(read(p_, 8), Each(1));
  EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
  EXPECT_THAT(read(p_, 8), Each(2));
  EXPECT_EQ(cudaGraphExecUpdate(instance, larger, &info), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(info.result, cudaGraphExecUpdateErrorTopologyChanged);
  EXPECT_EQ(cudaGraphExecUpdate(instance, other_kind, &info), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(info.result, cudaGraphExecUpdateErrorNodeTypeChanged);
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  for (const cudaGraph_t graph : {first, second, larger, other_kind}) {
    EXPECT_CUDA(cudaGraphDestroy(graph));
  }
}

TEST_P(Graphs, MayNotBeWaitedForWhileTheyAreCaptured) {
  begin(stream_);
  fill(stream_, p_, 8, 1);
  EXPECT_EQ(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaMemsetAsync(p_, 0, 4, stream_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
  EXPECT_CUDA(cudaStreamSynchronize(stream_));
}

TEST_P(Graphs, ForbidUnsafeCallsWhileTheyAreCaptured) {
  begin(stream_);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
  void* p = nullptr;
  begin(stream_);
  EXPECT_EQ(cudaMalloc(&p, 4), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
  begin(stream_);
  EXPECT_EQ(cudaMemset(p_, 0, 4), cudaErrorStreamCaptureImplicit);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
}

TEST_P(Graphs, CapturedRelaxedlyForbidLess) {
  begin(stream_, cudaStreamCaptureModeRelaxed);
  void* p = nullptr;
  EXPECT_CUDA(cudaMalloc(&p, 4));
  EXPECT_CUDA(cudaGraphDestroy(end(stream_)));
  begin(stream_, cudaStreamCaptureModeThreadLocal);
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  EXPECT_CUDA(cudaThreadExchangeStreamCaptureMode(&mode));
  EXPECT_CUDA(cudaFree(p));
  EXPECT_CUDA(cudaThreadExchangeStreamCaptureMode(&mode));
  EXPECT_CUDA(cudaGraphDestroy(end(stream_)));
}

TEST_P(Graphs, CapturedGloballyBindOtherThreads) {
  const auto allocate = [](cudaError_t& error) {
    std::thread([&error] {
      void* p = nullptr;
      error = cudaMalloc(&p, 4);
      if (error == cudaSuccess) {
        EXPECT_CUDA(cudaFree(p));
      }
    }).join();
  };
  cudaError_t error{};
  begin(stream_, cudaStreamCaptureModeThreadLocal);
  allocate(error);
  EXPECT_EQ(error, cudaSuccess);
  EXPECT_CUDA(cudaGraphDestroy(end(stream_)));
  begin(stream_, cudaStreamCaptureModeGlobal);
  allocate(error);
  EXPECT_EQ(error, cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
}

TEST_P(Graphs, MustJoinTheirStreams) {
  const cudaEvent_t event = resources_.event();
  begin(stream_);
  EXPECT_CUDA(cudaEventRecord(event, stream_));
  EXPECT_CUDA(cudaStreamWaitEvent(other_, event, 0));
  fill(other_, p_, 8, 1);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureUnjoined);
  // Both streams are free again.
  fill(other_, p_, 8, 2);
  EXPECT_CUDA(cudaStreamSynchronize(other_));
}

TEST_P(Graphs, EndWhereTheyBegan) {
  const cudaEvent_t event = resources_.event();
  EXPECT_EQ(end_error(stream_), cudaErrorIllegalState);
  begin(stream_);
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed),
            cudaErrorStreamCaptureUnsupported);
  cudaError_t error{};
  std::thread([&] { error = end_error(stream_); }).join();
  EXPECT_EQ(error, cudaErrorStreamCaptureWrongThread);
  EXPECT_CUDA(cudaEventRecord(event, stream_));
  EXPECT_CUDA(cudaStreamWaitEvent(other_, event, 0));
  EXPECT_EQ(end_error(other_), cudaErrorStreamCaptureUnmatched);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
}

TEST_P(Graphs, KeepApart) {
  const cudaEvent_t outside = resources_.event();
  const cudaEvent_t inside = resources_.event();
  EXPECT_CUDA(cudaEventRecord(outside, other_));
  begin(stream_);
  EXPECT_EQ(cudaStreamWaitEvent(stream_, outside, 0), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
  begin(stream_);
  begin(other_);
  EXPECT_CUDA(cudaEventRecord(inside, stream_));
  EXPECT_EQ(cudaStreamWaitEvent(other_, inside, 0), cudaErrorStreamCaptureMerge);
  EXPECT_EQ(end_error(stream_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(end_error(other_), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaEventQuery(inside), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamWaitEvent(other_, inside, 0), cudaErrorCapturedEvent);
}

TEST_P(Graphs, FailAsTheirNodesDo) {
  begin(stream_);
  enqueue(stream_, "bad", [] { throw KernelError("in a node"); });
  const cudaGraph_t graph = end(stream_);
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  for (int i = 0; i < 2; ++i) {
    EXPECT_CUDA(cudaGraphLaunch(instance, stream_));
    EXPECT_THROW(cudaStreamSynchronize(stream_), KernelError);
  }
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

// A dependency that the capture lacks shows, because the order of the nodes is the machine's.
TEST(GraphOrder, ContraryRunsYoungestFirst) {
  configure(settings_for(Order::kContrary));
  Resources resources;
  const cudaStream_t stream = resources.stream();
  const cudaStream_t other = resources.stream();
  const cudaEvent_t fork = resources.event();
  const cudaEvent_t joined = resources.event();
  std::vector<int> ran;
  EXPECT_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  EXPECT_CUDA(cudaEventRecord(fork, stream));
  EXPECT_CUDA(cudaStreamWaitEvent(other, fork, 0));
  enqueue(stream, "first", [&ran] { ran.push_back(1); });
  enqueue(other, "second", [&ran] { ran.push_back(2); });
  EXPECT_CUDA(cudaEventRecord(joined, other));
  EXPECT_CUDA(cudaStreamWaitEvent(stream, joined, 0));
  cudaGraph_t graph = nullptr;
  EXPECT_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t instance = nullptr;
  EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
  EXPECT_CUDA(cudaGraphLaunch(instance, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_THAT(ran, ElementsAre(2, 1));
  EXPECT_CUDA(cudaGraphExecDestroy(instance));
  EXPECT_CUDA(cudaGraphDestroy(graph));
}

}  // namespace
}  // namespace varve::fakes
