// Rows over the fake NCCL: ranks as threads, a device for each.
#include "worker/comm/nccl/nccl_rows.h"

#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "common/error.h"
#include "kernels/cuda/device.h"
#include "tests/cuda_on_cpu/fakes/fakes.h"
#include "tests/support/spawn.h"
#include "worker/comm/thread_communicator.h"

namespace varve {
namespace {

using namespace std::chrono_literals;
using fakes::Order;
using testing::HasSubstr;

constexpr Waiting kSoon{20s, "a row of the test"};

void set_machine(Order order, int devices) {
  fakes::Settings settings{.order = order, .devices = {}, .deadline = 20s};
  for (int i = 0; i < devices; ++i) settings.devices.push_back(i);
  fakes::configure(settings);
}

/// A rank's device with some floats on it.
struct Rank {
  Rank(Communicator& comm, std::size_t floats)
      : device(comm.rank()),
        memory(device.allocate(floats * sizeof(float))),
        rows(make_nccl_rows(comm, neighbours(comm), device.stream(), kSoon)) {}

  static std::vector<int> neighbours(const Communicator& comm) {
    std::vector<int> peers;
    if (comm.rank() > 0) peers.push_back(comm.rank() - 1);
    if (comm.rank() + 1 < comm.size()) peers.push_back(comm.rank() + 1);
    return peers;
  }

  std::span<float> floats(std::size_t count) const { return {memory.as<float>(), count}; }
  void set(float first, std::size_t count) {
    std::vector<float> host(count);
    std::iota(host.begin(), host.end(), first);
    device.upload(memory.data(), host.data(), count * sizeof(float));
  }
  std::vector<float> get(std::size_t count) {
    std::vector<float> host(count);
    device.download(host.data(), memory.data(), count * sizeof(float));
    return host;
  }

  cuda::Device device;
  Buffer memory;
  std::unique_ptr<RowTransport> rows;
};

std::vector<float> numbers(float first, std::size_t count) {
  std::vector<float> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

class NcclRows : public testing::TestWithParam<Order> {};

// Down a chain: each rank adds nothing and passes on what it got, in steps of several lengths and
// more of them than there are slots. The sender writes over its rows at once.
TEST_P(NcclRows, PassDownAChainInOrder) {
  constexpr std::size_t kFloats = 1000;
  constexpr std::size_t kSteps = 7;
  constexpr std::size_t kSlots = 2;
  const int ranks = 4;
  set_machine(GetParam(), ranks);
  const auto length = [](std::size_t step) {
    return step % 3 == 1 ? std::size_t{1} : kFloats - step;
  };
  spawn(ranks, [&](Communicator& comm) {
    Rank rank(comm, kFloats);
    const bool first = comm.rank() == 0;
    const bool last = comm.rank() == comm.size() - 1;
    std::unique_ptr<RowReceiver> in;
    std::unique_ptr<RowSender> out;
    if (!first) in = rank.rows->receiver(comm.rank() - 1, kFloats);
    if (!last) out = rank.rows->sender(comm.rank() + 1, kFloats, kSlots);
    for (std::size_t step = 0; step < kSteps; ++step) {
      const std::size_t count = length(step);
      if (first) rank.set(static_cast<float>(100 * step), count);
      if (in) in->receive(rank.floats(count), kSoon);
      if (last) {
        EXPECT_EQ(rank.get(count), numbers(static_cast<float>(100 * step), count)) << step;
        continue;
      }
      if (step >= kSlots) out->wait(step % kSlots, kSoon);
      out->send(step % kSlots, rank.floats(count));
    }
    for (std::size_t slot = 0; out && slot < kSlots; ++slot) out->wait(slot, kSoon);
    std::size_t floats = 0;
    for (std::size_t step = 0; step < kSteps; ++step) floats += length(step);
    EXPECT_EQ(rank.rows->sent().bytes, last ? 0 : floats * sizeof(float));
    EXPECT_EQ(rank.rows->sent().messages, last ? 0 : kSteps);
  });
}

INSTANTIATE_TEST_SUITE_P(Orders, NcclRows,
                         testing::Values(Order::kEager, Order::kLazy, Order::kContrary,
                                         Order::kRandom));

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const PeerError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(NcclRowsErrors, ADeadlineNamesWhoWaitedForWhom) {
  set_machine(Order::kLazy, 2);
  spawn(2, [&](Communicator& comm) {
    Rank rank(comm, 8);
    if (comm.rank() == 1) {
      const auto in = rank.rows->receiver(0, 8);
      const std::string error = error_of([&] {
        in->receive(rank.floats(8), {300ms, "activations of step 3"});
      });
      EXPECT_THAT(error, testing::MatchesRegex("rank 1 waited .* for rank 0: activations of step 3 "
                                               "\\(kActivations, 32 bytes\\)"));
    }
    // Until rank 1 has seen it.
    if (comm.rank() == 1) comm.wait(comm.send({}, 0, Tag::kTest), kSoon);
    if (comm.rank() == 0) comm.recv({}, 1, Tag::kTest, kSoon);
  });
}

TEST(NcclRowsErrors, CancelEndsAWait) {
  set_machine(Order::kLazy, 2);
  spawn(2, [&](Communicator& comm) {
    Rank rank(comm, 8);
    if (comm.rank() == 1) {
      const auto in = rank.rows->receiver(0, 8);
      comm.cancel("the run was stopped");
      EXPECT_THAT(error_of([&] { in->receive(rank.floats(8), kSoon); }),
                  HasSubstr("for rank 0: a row of the test (kActivations, 32 bytes): the run was "
                            "stopped"));
    }
  });
}

TEST(NcclRowsErrors, ALostPeerIsNcclsOwnWords) {
  set_machine(Order::kLazy, 2);
  spawn(2, [&](Communicator& comm) {
    Rank rank(comm, 8);
    if (comm.rank() == 0) {
      // Leaves in the middle of a send, so it aborts its link.
      const auto out = rank.rows->sender(1, 8, 1);
      out->send(0, rank.floats(8));
      comm.wait(comm.send({}, 1, Tag::kTest), kSoon);
      return;
    }
    comm.recv({}, 0, Tag::kTest, kSoon);
    const auto in = rank.rows->receiver(0, 8);
    EXPECT_THAT(error_of([&] { in->receive(rank.floats(8), kSoon); }), HasSubstr("NCCL: "));
  });
}

TEST(NcclRowsErrors, TwoRanksOfOneDeviceAreRefusedByNccl) {
  set_machine(Order::kLazy, 1);
  spawn(2, [&](Communicator& comm) {
    cuda::Device device(0);
    EXPECT_THAT(error_of([&] {
                  make_nccl_rows(comm, std::array{1 - comm.rank()}, device.stream(), kSoon);
                }),
                HasSubstr("Duplicate GPU"));
  });
}

}  // namespace
}  // namespace varve
