// Ranks as processes: data goes through the fake NCCL, small messages through MPI, and whoever
// waits in MPI lets its device go on.
#include <nccl.h>

#include <algorithm>
#include <cstring>

#include "tests/cuda_on_cpu/fakes/fixture.h"
#include "tests/support/mpi_main.h"

#define EXPECT_NCCL(call) EXPECT_EQ(ncclSuccess, (call)) << varve::fakes::last_refusal()

namespace varve::fakes {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kNumbers = 100'000;
constexpr Waiting kWaiting{20s, "a test"};

bool all_are(const std::vector<float>& numbers, float wanted) {
  return std::all_of(numbers.begin(), numbers.end(), [wanted](float x) { return x == wanted; });
}

class Processes : public testing::TestWithParam<int> {
 protected:
  Processes() {
    configure(all_orders(2)[static_cast<std::size_t>(GetParam())]);
    EXPECT_CUDA(cudaSetDevice(messages_->rank()));
    std::vector<std::byte> bytes(sizeof(ncclUniqueId));
    ncclUniqueId id;
    if (messages_->rank() == 0) {
      EXPECT_NCCL(ncclGetUniqueId(&id));
      std::memcpy(bytes.data(), &id, sizeof id);
    }
    messages_->broadcast(bytes, 0, Tag::kTest, kWaiting);
    std::memcpy(&id, bytes.data(), sizeof id);
    EXPECT_NCCL(ncclCommInitRank(&comm_, 2, id, messages_->rank()));
  }
  ~Processes() override {
    EXPECT_NCCL(ncclCommDestroy(comm_));
    EXPECT_CUDA(cudaSetDevice(0));
  }

  // A token from the last rank to the first, on the host.
  void pass_token(int step) {
    const std::byte token{static_cast<unsigned char>(step)};
    std::byte got{255};
    if (messages_->rank() == 1) {
      messages_->wait(messages_->send({&token, 1}, 0, Tag::kTokens), kWaiting);
    } else {
      messages_->recv({&got, 1}, 1, Tag::kTokens, kWaiting);
      EXPECT_EQ(got, token);
    }
  }

  std::unique_ptr<Communicator> messages_ = mpi_session().communicator(20s);
  ncclComm_t comm_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Orders, Processes, testing::Range(0, 5));

// Rank 0 never waits for its device: it waits for the token, in MPI.
TEST_P(Processes, RunAPipeline) {
  Resources resources;
  const cudaStream_t compute = resources.stream();
  const cudaStream_t wire = resources.stream();
  const cudaEvent_t ready = resources.event();
  const cudaEvent_t sent = resources.event();
  auto* p = resources.device<float>(kNumbers);
  for (int step = 0; step < 5; ++step) {
    if (messages_->rank() == 0) {
      if (step > 0) {
        EXPECT_CUDA(cudaStreamWaitEvent(compute, sent, 0));
      }
      fill(compute, p, kNumbers, static_cast<float>(step));
      EXPECT_CUDA(cudaEventRecord(ready, compute));
      EXPECT_CUDA(cudaStreamWaitEvent(wire, ready, 0));
      EXPECT_NCCL(ncclSend(p, kNumbers, ncclFloat32, 1, comm_, wire));
      EXPECT_CUDA(cudaEventRecord(sent, wire));
    } else {
      std::vector<float> got(kNumbers);
      EXPECT_NCCL(ncclRecv(p, kNumbers, ncclFloat32, 0, comm_, wire));
      EXPECT_CUDA(
          cudaMemcpyAsync(got.data(), p, kNumbers * sizeof(float), cudaMemcpyDeviceToHost, wire));
      EXPECT_CUDA(cudaStreamSynchronize(wire));
      EXPECT_TRUE(all_are(got, static_cast<float>(step)));
    }
    pass_token(step);
  }
  EXPECT_CUDA(cudaDeviceSynchronize());
}

TEST_P(Processes, ReduceTogether) {
  Resources resources;
  const cudaStream_t stream = resources.stream();
  auto* p = resources.device<float>(kNumbers);
  fill(stream, p, kNumbers, static_cast<float>(messages_->rank() + 1));
  EXPECT_NCCL(ncclAllReduce(p, p, kNumbers, ncclFloat32, ncclSum, comm_, stream));
  std::vector<float> got(kNumbers);
  EXPECT_CUDA(
      cudaMemcpyAsync(got.data(), p, kNumbers * sizeof(float), cudaMemcpyDeviceToHost, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  EXPECT_TRUE(all_are(got, 3));
}

}  // namespace
}  // namespace varve::fakes
