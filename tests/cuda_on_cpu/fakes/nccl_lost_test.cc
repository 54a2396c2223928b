// A rank that dies. Its process is forked, so these tests have no threads before.
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "tests/cuda_on_cpu/fakes/ranks.h"

namespace varve::fakes {
namespace {

/// Joins as rank 1, then does as told and ends without a word.
pid_t start_other_rank(const ncclUniqueId& id, const std::function<void(ncclComm_t)>& then) {
  const pid_t child = fork();
  if (child != 0) return child;
  ncclComm_t comm = nullptr;
  const bool joined =
      cudaSetDevice(1) == cudaSuccess && ncclCommInitRank(&comm, 2, id, 1) == ncclSuccess;
  if (joined) then(comm);
  _exit(joined ? 0 : 1);
}

class LostRank : public testing::Test {
 protected:
  LostRank() {
    configure(settings_for(Order::kLazy, 1, 2));
    EXPECT_NCCL(ncclGetUniqueId(&id_));
  }
  void join(const std::function<void(ncclComm_t)>& other) {
    child_ = start_other_rank(id_, other);
    EXPECT_NCCL(ncclCommInitRank(&comm_, 2, id_, 0));
  }
  void await_child() {
    int status = -1;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    EXPECT_EQ(status, 0);
  }
  ncclResult_t async_error() {
    ncclResult_t error = ncclInternalError;
    EXPECT_NCCL(ncclCommGetAsyncError(comm_, &error));
    return error;
  }

  ncclUniqueId id_;
  ncclComm_t comm_ = nullptr;
  pid_t child_ = -1;
};

TEST_F(LostRank, IsAnAsyncErrorAndAbortFreesWhatWaitsForIt) {
  join([](ncclComm_t) {});
  Resources resources;
  const cudaStream_t stream = resources.stream();
  auto* p = resources.device<float>(4);
  EXPECT_NCCL(ncclRecv(p, 4, ncclFloat32, 1, comm_, stream));
  await_child();
  while (cudaStreamQuery(stream) == cudaErrorNotReady && async_error() == ncclSuccess) {
  }
  EXPECT_EQ(async_error(), ncclRemoteError);
  // The stream hangs, as the device would, until the communicator is aborted.
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  EXPECT_NCCL(ncclCommAbort(comm_));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
}

TEST_F(LostRank, IsNoticedWhileNothingIsSent) {
  join([](ncclComm_t) {});
  await_child();
  EXPECT_EQ(async_error(), ncclRemoteError);
  EXPECT_NCCL(ncclCommAbort(comm_));
}

TEST_F(LostRank, IsReportedByAWait) {
  join([](ncclComm_t) {});
  await_child();
  configure(with_short_deadline(settings_for(Order::kLazy, 1, 2)));
  Resources resources;
  const cudaStream_t stream = resources.stream();
  auto* p = resources.device<float>(4);
  EXPECT_NCCL(ncclRecv(p, 4, ncclFloat32, 1, comm_, stream));
  EXPECT_THAT(message_of([&] { cudaStreamSynchronize(stream); }),
              testing::HasSubstr("ncclRecv of 16 bytes at rank 0 from 1"));
  EXPECT_NCCL(ncclCommAbort(comm_));
}

TEST_F(LostRank, IsNotOneThatSaidGoodbye) {
  join([](ncclComm_t comm) { ncclCommDestroy(comm); });
  await_child();
  EXPECT_EQ(async_error(), ncclSuccess);
  EXPECT_NCCL(ncclCommDestroy(comm_));
}

}  // namespace
}  // namespace varve::fakes
