// Ranks as threads of one process, for tests of the fake NCCL.
#pragma once

#include <nccl.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/cuda_on_cpu/fakes/fixture.h"

#define EXPECT_NCCL(call) EXPECT_EQ(ncclSuccess, (call)) << varve::fakes::last_refusal()

namespace varve::fakes {

/// What a rank has: a device of its own, two streams and a communicator.
struct RankTools {
  int rank;
  ncclComm_t comm;
  cudaStream_t stream, other;
  Resources resources = {};

  float* upload(const std::vector<float>& host) {
    auto* p = resources.device<float>(host.size());
    EXPECT_CUDA(cudaMemcpyAsync(p, host.data(), host.size() * sizeof(float), cudaMemcpyHostToDevice,
                                stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    return p;
  }
  std::vector<float> download(const float* p, std::size_t count) {
    std::vector<float> host(count);
    EXPECT_CUDA(
        cudaMemcpyAsync(host.data(), p, count * sizeof(float), cudaMemcpyDeviceToHost, stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    return host;
  }
};

/// Runs a function as every rank. A rank destroys its communicator unless it set it to null.
inline void run_ranks(int size, const std::function<void(RankTools&)>& run) {
  ncclUniqueId id;
  EXPECT_NCCL(ncclGetUniqueId(&id));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      EXPECT_CUDA(cudaSetDevice(rank));
      RankTools tools{rank, nullptr, nullptr, nullptr};
      tools.stream = tools.resources.stream();
      tools.other = tools.resources.stream();
      EXPECT_NCCL(ncclCommInitRank(&tools.comm, size, id, rank));
      try {
        run(tools);
      } catch (const std::exception& error) {
        ADD_FAILURE() << "rank " << rank << ": " << error.what();
      }
      EXPECT_NCCL(ncclCommDestroy(tools.comm));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

inline std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const KernelError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace varve::fakes
