#include <cuda_bf16.h>

#include <algorithm>
#include <utility>

#include "tests/cuda_on_cpu/fakes/ranks.h"

namespace varve::fakes {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Nccl : public testing::TestWithParam<int> {
 protected:
  Nccl() { configure(all_orders(3)[static_cast<std::size_t>(GetParam())]); }
};

INSTANTIATE_TEST_SUITE_P(Orders, Nccl, testing::Range(0, 4));

TEST_P(Nccl, RanksKnowThemselves) {
  run_ranks(3, [](RankTools& tools) {
    int value = -1;
    EXPECT_NCCL(ncclCommCount(tools.comm, &value));
    EXPECT_EQ(value, 3);
    EXPECT_NCCL(ncclCommUserRank(tools.comm, &value));
    EXPECT_EQ(value, tools.rank);
    EXPECT_NCCL(ncclCommCuDevice(tools.comm, &value));
    EXPECT_EQ(value, tools.rank);
    ncclResult_t error = ncclInternalError;
    EXPECT_NCCL(ncclCommGetAsyncError(tools.comm, &error));
    EXPECT_EQ(error, ncclSuccess);
  });
}

TEST_P(Nccl, LargeMessagesGoRound) {
  static constexpr std::size_t kCount = 300'000;  // more than a socket holds
  run_ranks(3, [](RankTools& tools) {
    const float* from = tools.upload(std::vector<float>(kCount, static_cast<float>(tools.rank)));
    float* to = tools.resources.device<float>(kCount);
    EXPECT_NCCL(ncclGroupStart());
    EXPECT_NCCL(
        ncclSend(from, kCount, ncclFloat32, (tools.rank + 1) % 3, tools.comm, tools.stream));
    EXPECT_NCCL(ncclRecv(to, kCount, ncclFloat32, (tools.rank + 2) % 3, tools.comm, tools.stream));
    EXPECT_NCCL(ncclGroupEnd());
    const std::vector<float> got = tools.download(to, kCount);
    const auto wanted = static_cast<float>((tools.rank + 2) % 3);
    EXPECT_EQ(static_cast<std::size_t>(std::count(got.begin(), got.end(), wanted)), kCount);
  });
}

TEST_P(Nccl, MessagesKeepTheirOrder) {
  run_ranks(2, [](RankTools& tools) {
    float* p = tools.upload({1, 2, 3});
    if (tools.rank == 0) {
      // Of one communicator in two streams: as they were issued.
      EXPECT_NCCL(ncclSend(p, 1, ncclFloat32, 1, tools.comm, tools.stream));
      EXPECT_NCCL(ncclSend(p + 1, 1, ncclFloat32, 1, tools.comm, tools.other));
      EXPECT_NCCL(ncclSend(p + 2, 0, ncclFloat32, 1, tools.comm, tools.stream));
      EXPECT_CUDA(cudaDeviceSynchronize());
    } else {
      EXPECT_NCCL(ncclRecv(p + 1, 1, ncclFloat32, 0, tools.comm, tools.stream));
      EXPECT_NCCL(ncclRecv(p, 1, ncclFloat32, 0, tools.comm, tools.stream));
      EXPECT_NCCL(ncclRecv(p + 2, 0, ncclFloat32, 0, tools.comm, tools.stream));
      EXPECT_THAT(tools.download(p, 3), ElementsAre(2, 1, 3));
    }
  });
}

TEST_P(Nccl, ReducesInRankOrder) {
  run_ranks(3, [](RankTools& tools) {
    const auto rank = static_cast<float>(tools.rank);
    float* p = tools.upload({rank, 1, -rank, 1e-8F});
    float* sum = tools.resources.device<float>(4);
    EXPECT_NCCL(ncclAllReduce(p, sum, 4, ncclFloat32, ncclSum, tools.comm, tools.stream));
    EXPECT_THAT(tools.download(sum, 3), ElementsAre(3, 3, -3));
    EXPECT_NCCL(ncclAllReduce(p, sum, 3, ncclFloat32, ncclMax, tools.comm, tools.stream));
    EXPECT_THAT(tools.download(sum, 3), ElementsAre(2, 1, 0));
    EXPECT_NCCL(ncclAllReduce(p, p, 3, ncclFloat32, ncclAvg, tools.comm, tools.stream));
    EXPECT_THAT(tools.download(p, 3), ElementsAre(1, 1, -1));
  });
}

TEST_P(Nccl, ReducesOtherTypes) {
  run_ranks(2, [](RankTools& tools) {
    auto* numbers = tools.resources.device<std::int32_t>(2);
    auto* halves = tools.resources.device<__nv_bfloat16>(2);
    const int rank = tools.rank;
    enqueue(tools.stream, "init", [=] {
      numbers[0] = rank + 1;
      numbers[1] = 2147483647;
      halves[0] = __float2bfloat16(1.5F);
      halves[1] = __float2bfloat16(static_cast<float>(rank));
    });
    EXPECT_NCCL(ncclGroupStart());
    EXPECT_NCCL(ncclAllReduce(numbers, numbers, 2, ncclInt32, ncclSum, tools.comm, tools.stream));
    EXPECT_NCCL(ncclAllReduce(halves, halves, 2, ncclBfloat16, ncclSum, tools.comm, tools.stream));
    EXPECT_NCCL(ncclGroupEnd());
    std::int32_t sums[2] = {};
    __nv_bfloat16 half_sums[2] = {};
    EXPECT_CUDA(cudaMemcpyAsync(sums, numbers, 8, cudaMemcpyDeviceToHost, tools.stream));
    EXPECT_CUDA(cudaMemcpyAsync(half_sums, halves, 4, cudaMemcpyDeviceToHost, tools.stream));
    EXPECT_CUDA(cudaStreamSynchronize(tools.stream));
    EXPECT_THAT(sums, ElementsAre(3, -2));
    EXPECT_EQ(__bfloat162float(half_sums[0]), 3);
    EXPECT_EQ(__bfloat162float(half_sums[1]), 1);
  });
}

TEST_P(Nccl, BroadcastsAndGathers) {
  run_ranks(3, [](RankTools& tools) {
    const auto rank = static_cast<float>(tools.rank);
    float* p = tools.upload({rank, rank, rank, rank, rank, rank});
    EXPECT_NCCL(ncclBroadcast(p, p + 2, 2, ncclFloat32, 1, tools.comm, tools.stream));
    EXPECT_THAT(tools.download(p, 6), ElementsAre(rank, rank, 1, 1, rank, rank));
    // In place: each rank's part is where it belongs.
    EXPECT_NCCL(ncclAllGather(p + 2 * tools.rank, p, 2, ncclFloat32, tools.comm, tools.stream));
    EXPECT_THAT(tools.download(p, 6), ElementsAre(0, 0, 1, 1, 2, 2));
  });
}

TEST_P(Nccl, SplitsByColorAndKey) {
  run_ranks(3, [](RankTools& tools) {
    const int color = tools.rank == 1 ? NCCL_SPLIT_NOCOLOR : 5;
    ncclComm_t part = nullptr;
    EXPECT_NCCL(ncclCommSplit(tools.comm, color, -tools.rank, &part, nullptr));
    if (tools.rank == 1) {
      EXPECT_EQ(part, nullptr);
      return;
    }
    int rank = -1;
    EXPECT_NCCL(ncclCommUserRank(part, &rank));
    EXPECT_EQ(rank, tools.rank == 2 ? 0 : 1);
    float* p = tools.upload({static_cast<float>(tools.rank + 1)});
    EXPECT_NCCL(ncclAllReduce(p, p, 1, ncclFloat32, ncclSum, part, tools.stream));
    EXPECT_THAT(tools.download(p, 1), ElementsAre(4));
    EXPECT_NCCL(ncclCommDestroy(part));
  });
}

TEST_P(Nccl, CanBeCaptured) {
  run_ranks(2, [](RankTools& tools) {
    float* p = tools.upload({static_cast<float>(tools.rank + 1)});
    EXPECT_CUDA(cudaStreamBeginCapture(tools.stream, cudaStreamCaptureModeThreadLocal));
    EXPECT_NCCL(ncclAllReduce(p, p, 1, ncclFloat32, ncclSum, tools.comm, tools.stream));
    cudaGraph_t graph = nullptr;
    EXPECT_CUDA(cudaStreamEndCapture(tools.stream, &graph));
    cudaGraphExec_t instance = nullptr;
    EXPECT_CUDA(cudaGraphInstantiate(&instance, graph, 0));
    for (int i = 0; i < 3; ++i) EXPECT_CUDA(cudaGraphLaunch(instance, tools.stream));
    EXPECT_THAT(tools.download(p, 1), ElementsAre(12));
    EXPECT_CUDA(cudaGraphExecDestroy(instance));
    EXPECT_CUDA(cudaGraphDestroy(graph));
  });
}

TEST_P(Nccl, SizesThatDifferAreNamedOnBothSides) {
  run_ranks(2, [](RankTools& tools) {
    float* p = tools.upload(std::vector<float>(16));
    if (tools.rank == 0) {
      EXPECT_NCCL(ncclSend(p, 16, ncclFloat32, 1, tools.comm, tools.stream));
    } else {
      EXPECT_NCCL(ncclRecv(p, 8, ncclFloat32, 0, tools.comm, tools.stream));
    }
    const std::string message = message_of([&] { cudaStreamSynchronize(tools.stream); });
    EXPECT_THAT(message, HasSubstr("rank 0 sends 64 bytes with ncclSend and ncclRecv, rank 1 "
                                   "takes 32 bytes"));
    ncclResult_t error = ncclSuccess;
    EXPECT_NCCL(ncclCommGetAsyncError(tools.comm, &error));
    EXPECT_EQ(error, ncclInternalError);
  });
}

TEST_P(Nccl, CollectivesThatDifferAreNamed) {
  run_ranks(2, [](RankTools& tools) {
    float* p = tools.upload(std::vector<float>(4));
    if (tools.rank == 0) {
      EXPECT_NCCL(ncclAllReduce(p, p, 1, ncclFloat32, ncclSum, tools.comm, tools.stream));
    } else {
      EXPECT_NCCL(ncclAllReduce(p, p, 1, ncclFloat32, ncclMax, tools.comm, tools.stream));
    }
    EXPECT_THAT(message_of([&] { cudaStreamSynchronize(tools.stream); }),
                HasSubstr("ncclAllReduce (type 7, operation 0)"));
  });
}

TEST_P(Nccl, AnAbortedCommunicatorFreesItsStreams) {
  run_ranks(2, [](RankTools& tools) {
    float* p = tools.upload({1});
    ncclResult_t error = ncclSuccess;
    if (tools.rank == 0) {
      EXPECT_NCCL(ncclRecv(p, 1, ncclFloat32, 1, tools.comm, tools.stream));
      EXPECT_NCCL(ncclCommAbort(std::exchange(tools.comm, nullptr)));
      EXPECT_CUDA(cudaStreamSynchronize(tools.stream));
      return;
    }
    while (error == ncclSuccess) EXPECT_NCCL(ncclCommGetAsyncError(tools.comm, &error));
    EXPECT_EQ(error, ncclRemoteError);
    EXPECT_EQ(ncclSend(p, 1, ncclFloat32, 0, tools.comm, tools.stream), ncclRemoteError);
    EXPECT_NCCL(ncclCommAbort(std::exchange(tools.comm, nullptr)));
  });
}

TEST_P(Nccl, NonBlockingCommunicatorsHaveToBeAsked) {
  ncclUniqueId id;
  EXPECT_NCCL(ncclGetUniqueId(&id));
  const auto run = [&id](int rank) {
    EXPECT_CUDA(cudaSetDevice(rank));
    Resources resources;
    const cudaStream_t stream = resources.stream();
    const cudaEvent_t event = resources.event();
    ncclComm_t comm = nullptr;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const auto until_done = [&comm] {
      ncclResult_t error = ncclInProgress;
      int polls = 0;
      for (; error == ncclInProgress; ++polls) EXPECT_NCCL(ncclCommGetAsyncError(comm, &error));
      EXPECT_GT(polls, 1);
      return error;
    };
    EXPECT_EQ(ncclCommInitRankConfig(&comm, 2, id, rank, &config), ncclInProgress);
    EXPECT_EQ(until_done(), ncclSuccess);
    auto* p = resources.device<float>(1);
    fill(stream, p, 1, 1);
    EXPECT_EQ(ncclAllReduce(p, p, 1, ncclFloat32, ncclSum, comm, stream), ncclInProgress);
    EXPECT_EQ(ncclSend(p, 1, ncclFloat32, 1 - rank, comm, stream), ncclInvalidUsage);
    // Not queued yet, so this is not after it.
    float early = 0;
    EXPECT_CUDA(cudaMemcpyAsync(&early, p, 4, cudaMemcpyDeviceToHost, stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(early, 1);
    EXPECT_EQ(until_done(), ncclSuccess);
    EXPECT_CUDA(cudaEventRecord(event, stream));
    float late = 0;
    EXPECT_CUDA(cudaMemcpyAsync(&late, p, 4, cudaMemcpyDeviceToHost, stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(late, 2);
    EXPECT_EQ(ncclCommFinalize(comm), ncclInProgress);
    EXPECT_EQ(until_done(), ncclSuccess);
    EXPECT_NCCL(ncclCommDestroy(comm));
  };
  std::thread one(run, 0);
  std::thread two(run, 1);
  one.join();
  two.join();
}

TEST(NcclRules, RanksNeedDevicesOfTheirOwn) {
  configure(settings_for(Order::kLazy, 1, 1));
  ncclUniqueId id;
  EXPECT_NCCL(ncclGetUniqueId(&id));
  const auto run = [&id](int rank) {
    ncclComm_t comm = nullptr;
    EXPECT_EQ(ncclCommInitRank(&comm, 2, id, rank), ncclInvalidUsage);
    EXPECT_THAT(ncclGetLastError(nullptr), HasSubstr("Duplicate GPU detected"));
    EXPECT_EQ(comm, nullptr);
  };
  std::thread one(run, 0);
  std::thread two(run, 1);
  one.join();
  two.join();
}

TEST(NcclRules, AMissingRankIsNamed) {
  configure(with_short_deadline(settings_for(Order::kLazy)));
  ncclUniqueId id;
  ncclComm_t comm = nullptr;
  EXPECT_NCCL(ncclGetUniqueId(&id));
  EXPECT_EQ(ncclCommInitRank(&comm, 2, id, 0), ncclSystemError);
  EXPECT_THAT(last_refusal(), HasSubstr("rank 0 of 2 waited in vain for rank 1"));
}

TEST(NcclRules, ArgumentsAreChecked) {
  configure(settings_for(Order::kLazy));
  ncclUniqueId id{};
  ncclComm_t comm = nullptr;
  EXPECT_EQ(ncclCommInitRank(&comm, 1, id, 0), ncclInvalidArgument);
  EXPECT_NCCL(ncclGetUniqueId(&id));
  EXPECT_EQ(ncclCommInitRank(&comm, 1, id, 1), ncclInvalidArgument);
  EXPECT_NCCL(ncclCommInitRank(&comm, 1, id, 0));
  Resources resources;
  const cudaStream_t stream = resources.stream();
  auto* p = resources.device<float>(4);
  float host[4] = {};
  EXPECT_EQ(ncclAllReduce(p, host, 4, ncclFloat32, ncclSum, comm, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclAllReduce(p, p, 5, ncclFloat32, ncclSum, comm, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclSend(p, 4, ncclFloat32, 1, comm, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclSend(p, 4, ncclFloat32, 0, comm, nullptr), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidUsage);
  EXPECT_NCCL(ncclGroupStart());
  EXPECT_NCCL(ncclAllReduce(p, p, 4, ncclFloat32, ncclSum, comm, stream));
  EXPECT_EQ(ncclSend(p, 4, ncclFloat32, 1, comm, stream), ncclInvalidArgument);
  EXPECT_EQ(ncclGroupEnd(), ncclInvalidArgument);
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_NCCL(ncclCommDestroy(comm));
}

TEST(NcclRules, ARankSendsToItselfInAGroup) {
  configure(settings_for(Order::kLazy));
  ncclUniqueId id;
  ncclComm_t comm = nullptr;
  EXPECT_NCCL(ncclGetUniqueId(&id));
  EXPECT_NCCL(ncclCommInitRank(&comm, 1, id, 0));
  {
    Resources resources;
    const cudaStream_t stream = resources.stream();
    auto* p = resources.device<float>(8);
    fill(stream, p, 4, 3);
    EXPECT_NCCL(ncclGroupStart());
    EXPECT_NCCL(ncclSend(p, 4, ncclFloat32, 0, comm, stream));
    EXPECT_NCCL(ncclRecv(p + 4, 4, ncclFloat32, 0, comm, stream));
    EXPECT_NCCL(ncclGroupEnd());
    float got = 0;
    EXPECT_CUDA(cudaMemcpyAsync(&got, p + 7, 4, cudaMemcpyDeviceToHost, stream));
    EXPECT_CUDA(cudaStreamSynchronize(stream));
    EXPECT_EQ(got, 3);
    EXPECT_NCCL(ncclCommDestroy(comm));
  }
}

TEST(NcclRules, VersionsAndTexts) {
  int version = 0;
  EXPECT_NCCL(ncclGetVersion(&version));
  EXPECT_EQ(version, NCCL_VERSION_CODE);
  EXPECT_STREQ(ncclGetErrorString(ncclSuccess), "no error");
  EXPECT_THAT(ncclGetErrorString(ncclInvalidUsage), HasSubstr("invalid usage"));
}

}  // namespace
}  // namespace varve::fakes
