// Six bugs that host programs have, as small programs, each found by the order that is there to
// find it, every time. Without its bug each program is right in every order.
#include <nccl.h>

#include <algorithm>
#include <cmath>

#include "tests/cuda_on_cpu/fakes/arena.h"
#include "tests/cuda_on_cpu/fakes/fixture.h"

#define EXPECT_NCCL(call) EXPECT_EQ(ncclSuccess, (call)) << last_refusal()

namespace varve::fakes {
namespace {

constexpr std::size_t kNumbers = 1000;
constexpr int kSteps = 3;

/// One host thread and two ranks, each with a device: so that every run is the same.
class TwoRanks {
 public:
  struct Rank {
    cudaStream_t compute, wire;
    cudaEvent_t ready, sent;
    float* sends;
    std::vector<float*> takes;  // one for each step
    ncclComm_t comm;
  };

  TwoRanks() {
    ncclUniqueId id;
    EXPECT_NCCL(ncclGetUniqueId(&id));
    EXPECT_NCCL(ncclGroupStart());
    for (int r = 0; r < 2; ++r) {
      EXPECT_CUDA(cudaSetDevice(r));
      Rank& rank = ranks[r];
      rank.compute = resources_.stream();
      rank.wire = resources_.stream();
      rank.ready = resources_.event();
      rank.sent = resources_.event();
      rank.sends = resources_.device<float>(kNumbers);
      for (int step = 0; step < kSteps; ++step) {
        rank.takes.push_back(resources_.device<float>(kNumbers));
      }
      EXPECT_NCCL(ncclCommInitRank(&rank.comm, 2, id, r));
    }
    EXPECT_NCCL(ncclGroupEnd());
  }
  ~TwoRanks() {
    for (Rank& rank : ranks) EXPECT_NCCL(ncclCommAbort(rank.comm));
    EXPECT_CUDA(cudaSetDevice(0));
  }
  TwoRanks(const TwoRanks&) = delete;
  TwoRanks& operator=(const TwoRanks&) = delete;

  /// Whether every step's numbers are what rank 0 computed then.
  bool right() {
    bool all = true;
    EXPECT_CUDA(cudaSetDevice(1));
    for (int step = 0; step < kSteps; ++step) {
      std::vector<float> got(kNumbers);
      EXPECT_CUDA(cudaMemcpyAsync(got.data(), ranks[1].takes[static_cast<std::size_t>(step)],
                                  kNumbers * sizeof(float), cudaMemcpyDeviceToHost, ranks[1].wire));
      EXPECT_CUDA(cudaStreamSynchronize(ranks[1].wire));
      all &= std::all_of(got.begin(), got.end(), [&](float x) { return x == 1.0F + step; });
    }
    return all;
  }

  Rank ranks[2];

 private:
  Resources resources_;
};

/// Rank 0 computes and sends, rank 1 takes.
struct PipelineBug {
  bool no_wait_before_send = false;
  bool no_wait_before_overwrite = false;
};

bool pipeline(PipelineBug bug) {
  TwoRanks two;
  auto& [a, b] = two.ranks;
  for (int step = 0; step < kSteps; ++step) {
    EXPECT_CUDA(cudaSetDevice(0));
    if (step > 0 && !bug.no_wait_before_overwrite) {
      EXPECT_CUDA(cudaStreamWaitEvent(a.compute, a.sent, 0));
    }
    fill(a.compute, a.sends, kNumbers, 1.0F + static_cast<float>(step));
    EXPECT_CUDA(cudaEventRecord(a.ready, a.compute));
    if (!bug.no_wait_before_send) {
      EXPECT_CUDA(cudaStreamWaitEvent(a.wire, a.ready, 0));
    }
    EXPECT_NCCL(ncclSend(a.sends, kNumbers, ncclFloat32, 1, a.comm, a.wire));
    EXPECT_CUDA(cudaEventRecord(a.sent, a.wire));
    EXPECT_CUDA(cudaSetDevice(1));
    EXPECT_NCCL(ncclRecv(b.takes[static_cast<std::size_t>(step)], kNumbers, ncclFloat32, 0, b.comm,
                         b.wire));
    EXPECT_CUDA(cudaEventSynchronize(a.ready));
  }
  return two.right();
}

/// One pinned buffer feeds the device step by step.
bool upload_steps(bool waits) {
  Resources resources;
  const cudaStream_t stream = resources.stream();
  const cudaEvent_t copied = resources.event();
  auto* pinned = resources.pinned<float>(kNumbers);
  auto* device = resources.device<float>(kSteps * kNumbers);
  for (int step = 0; step < kSteps; ++step) {
    if (step > 0 && waits) {
      EXPECT_CUDA(cudaEventSynchronize(copied));
    }
    std::fill_n(pinned, kNumbers, static_cast<float>(step));
    EXPECT_CUDA(cudaMemcpyAsync(device + static_cast<std::size_t>(step) * kNumbers, pinned,
                                kNumbers * sizeof(float), cudaMemcpyHostToDevice, stream));
    EXPECT_CUDA(cudaEventRecord(copied, stream));
  }
  std::vector<float> got(kSteps * kNumbers);
  EXPECT_CUDA(cudaMemcpyAsync(got.data(), device, got.size() * sizeof(float),
                              cudaMemcpyDeviceToHost, stream));
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] != static_cast<float>(i / kNumbers)) return false;
  }
  return true;
}

bool read_result(bool waits) {
  Resources resources;
  const cudaStream_t stream = resources.stream();
  auto* pinned = resources.pinned<float>(1);
  auto* device = resources.device<float>(1);
  fill(stream, device, 1, 7);
  EXPECT_CUDA(cudaMemcpyAsync(pinned, device, sizeof(float), cudaMemcpyDeviceToHost, stream));
  if (waits) {
    EXPECT_CUDA(cudaStreamSynchronize(stream));
  }
  const bool right = *pinned == 7;
  EXPECT_CUDA(cudaStreamSynchronize(stream));
  return right;
}

/// Both ranks send, then both take.
bool exchange(bool grouped) {
  TwoRanks two;
  for (int r = 0; r < 2; ++r) {
    EXPECT_CUDA(cudaSetDevice(r));
    auto& rank = two.ranks[r];
    fill(rank.wire, rank.sends, kNumbers, 1.0F + static_cast<float>(r));
    if (grouped) {
      EXPECT_NCCL(ncclGroupStart());
    }
    EXPECT_NCCL(ncclSend(rank.sends, kNumbers, ncclFloat32, 1 - r, rank.comm, rank.wire));
    EXPECT_NCCL(ncclRecv(rank.takes[0], kNumbers, ncclFloat32, 1 - r, rank.comm, rank.wire));
    if (grouped) {
      EXPECT_NCCL(ncclGroupEnd());
    }
  }
  float got = 0;
  EXPECT_CUDA(cudaMemcpyAsync(&got, two.ranks[1].takes[0], sizeof got, cudaMemcpyDeviceToHost,
                              two.ranks[1].wire));
  EXPECT_CUDA(cudaStreamSynchronize(two.ranks[1].wire));
  return got == 1;
}

class RightPrograms : public testing::TestWithParam<int> {
 protected:
  RightPrograms() { configure(all_orders(2)[static_cast<std::size_t>(GetParam())]); }
};

INSTANTIATE_TEST_SUITE_P(Orders, RightPrograms, testing::Range(0, 8));

TEST_P(RightPrograms, AreRightInEveryOrder) {
  EXPECT_TRUE(pipeline({}));
  EXPECT_TRUE(upload_steps(true));
  EXPECT_TRUE(read_result(true));
  EXPECT_TRUE(exchange(true));
}

TEST(HostBug, BufferOverwrittenWhileItIsSent) {
  configure(settings_for(Order::kLazy, 1, 2));
  EXPECT_FALSE(pipeline({.no_wait_before_overwrite = true}));
}

TEST(HostBug, SentBeforeItWasComputed) {
  configure(settings_for(Order::kContrary, 1, 2));
  EXPECT_FALSE(pipeline({.no_wait_before_send = true}));
}

TEST(HostBug, PinnedBufferRewrittenBeforeItsCopy) {
  configure(settings_for(Order::kLazy));
  EXPECT_FALSE(upload_steps(false));
  configure(settings_for(Order::kContrary));
  EXPECT_FALSE(upload_steps(false));
}

TEST(HostBug, ResultReadBeforeTheWait) {
  configure(settings_for(Order::kLazy));
  EXPECT_FALSE(read_result(false));
  configure(settings_for(Order::kContrary));
  EXPECT_FALSE(read_result(false));
}

TEST(HostBug, HostReadsDeviceMemory) {
  if (kHeapBacked) GTEST_SKIP() << "device memory is host memory under AddressSanitizer";
  configure(settings_for(Order::kEager));
  Resources resources;
  const auto* p = resources.device<float>(1);
  EXPECT_DEATH(std::exit(std::isnan(*const_cast<const volatile float*>(p)) ? 1 : 2),
               "host code touched device memory");
}

TEST(HostBug, ExchangeOutsideAGroup) {
  for (const Order order : {Order::kEager, Order::kLazy, Order::kContrary}) {
    configure(with_short_deadline(settings_for(order, 1, 2)));
    try {
      exchange(false);
      ADD_FAILURE() << "it did not hang";
    } catch (const KernelError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("no progress for 0.3 s"));
      EXPECT_THAT(error.what(), testing::HasSubstr("ncclSend of 4000 bytes at rank 0 to 1"));
      EXPECT_THAT(error.what(), testing::HasSubstr("ncclSend of 4000 bytes at rank 1 to 0"));
    }
  }
}

// What a fake that does everything at once would say to three of them.
TEST(HostBug, EagerMissesTheOnesThatMatterMost) {
  configure(settings_for(Order::kEager, 1, 2));
  EXPECT_TRUE(pipeline({.no_wait_before_overwrite = true}));
  EXPECT_TRUE(pipeline({.no_wait_before_send = true}));
  EXPECT_TRUE(upload_steps(false));
}

}  // namespace
}  // namespace varve::fakes
