#include "worker/comm/thread_communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "common/error.h"
#include "tests/support/spawn.h"
#include "tests/worker/comm/communicator_suite.h"

namespace varve {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::ThrowsMessage;

using Bytes = std::vector<std::byte>;

/// The world of a test: how many ranks, and which weather.
struct Weather {
  std::string name;
  SpawnOptions options;
};

Weather calm() {
  return {"Calm", {}};
}

Weather delayed() {
  Weather weather{"Delayed", {}};
  weather.options.threads.faults = {.seed = 11, .max_delay = 2ms};
  return weather;
}

Weather nothing_eager() {
  Weather weather{"NothingEager", {}};
  weather.options.threads.eager_bytes = 0;
  return weather;
}

class ThreadTransport : public testing::TestWithParam<std::tuple<int, Weather, CommunicatorCase>> {
};

TEST_P(ThreadTransport, Does) {
  const auto& [ranks, weather, scenario] = GetParam();
  if (ranks < scenario.min_ranks) GTEST_SKIP() << "needs " << scenario.min_ranks << " ranks";
  spawn(ranks, scenario.run, weather.options);
}

std::string test_name(const testing::TestParamInfo<ThreadTransport::ParamType>& param_info) {
  const auto& [ranks, weather, scenario] = param_info.param;
  return scenario.name + weather.name + std::to_string(ranks);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadTransport,
                         testing::Combine(testing::Values(1, 2, 4), testing::Values(calm()),
                                          testing::ValuesIn(communicator_cases())),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Weathers, ThreadTransport,
                         testing::Combine(testing::Values(3),
                                          testing::Values(calm(), delayed(), nothing_eager()),
                                          testing::ValuesIn(communicator_cases())),
                         test_name);

TEST(ThreadWorld, TellsWhoHasLeft) {
  ThreadWorld world(3);
  auto zero = world.communicator(0);
  auto two = world.communicator(2);
  const Bytes small(3);
  const Bytes large(100'000);
  two->send(small, 0, Tag::kTest);
  const PendingSend send = zero->send(large, 2, Tag::kActivations);
  two.reset();
  // What it had sent is still there; beyond that nobody waits for the deadline.
  EXPECT_EQ(zero->recv_message(2, Tag::kTest, {60s, "its last word"}), small);
  EXPECT_THAT(
      [&] {
        zero->recv_message(2, Tag::kTest, {60s, "more"});
      },
      ThrowsMessage<PeerError>(HasSubstr("for rank 2: more (kTest): rank 2 has left")));
  EXPECT_THAT(
      [&] {
        zero->wait(send, {60s, "step 1"});
      },
      ThrowsMessage<PeerError>(HasSubstr("(kActivations, 100000 bytes): rank 2 has left")));
}

TEST(ThreadWorld, TellsAWaiterThatItsPeerLeaves) {
  ThreadWorld world(2);
  auto zero = world.communicator(0);
  std::thread other([one = world.communicator(1)]() mutable {
    std::this_thread::sleep_for(30ms);
    one.reset();
  });
  EXPECT_THAT(
      [&] {
        zero->recv_message(1, Tag::kTokens, {60s, "a token"});
      },
      ThrowsMessage<PeerError>(HasSubstr("rank 1 has left")));
  other.join();
}

TEST(ThreadWorld, LosesMessagesOnPurpose) {
  ThreadOptions options;
  options.faults = {.seed = 5, .drop = 1.0, .drop_only = Tag::kCredit};
  ThreadWorld world(2, options);
  auto zero = world.communicator(0);
  auto one = world.communicator(1);
  zero->send(Bytes(4), 1, Tag::kCredit);
  zero->send(Bytes(4), 1, Tag::kTokens);
  EXPECT_EQ(one->recv_message(0, Tag::kTokens, {60s, "a token"}).size(), 4U);
  EXPECT_THAT(
      [&] {
        one->recv_message(0, Tag::kCredit, {20ms, "a credit"});
      },
      ThrowsMessage<PeerError>(HasSubstr("for rank 0: a credit (kCredit)")));
}

/// Which of 64 messages get through.
std::vector<bool> received(std::uint64_t seed) {
  ThreadOptions options;
  options.faults = {.seed = seed, .drop = 0.5};
  ThreadWorld world(2, options);
  auto zero = world.communicator(0);
  auto one = world.communicator(1);
  for (std::size_t i = 0; i < 64; ++i) zero->send(Bytes(i), 1, Tag::kTest);
  std::vector<bool> got(64);
  while (one->arrived(0, Tag::kTest)) {
    got[one->recv_message(0, Tag::kTest, {1s, "what is there"}).size()] = true;
  }
  return got;
}

TEST(ThreadWorld, LosesTheSameMessagesForTheSameSeed) {
  const std::vector<bool> got = received(1);
  EXPECT_EQ(got, received(1));
  EXPECT_NE(got, received(2));
  const auto count = std::count(got.begin(), got.end(), true);
  EXPECT_GT(count, 10);
  EXPECT_LT(count, 54);
}

TEST(ThreadWorld, DelaysLetOtherTagsOvertake) {
  // Each round sends A then B; with delays B is there first in some rounds, never without.
  const auto overtaken = [](std::chrono::microseconds delay) {
    ThreadOptions options;
    options.faults = {.seed = 3, .max_delay = delay};
    ThreadWorld world(2, options);
    auto zero = world.communicator(0);
    auto one = world.communicator(1);
    int rounds = 0;
    for (int i = 0; i < 50; ++i) {
      zero->send(Bytes(1), 1, Tag::kStepHeader);
      zero->send(Bytes(1), 1, Tag::kActivations);
      one->recv_message(0, Tag::kActivations, {20s, "B"});
      rounds += one->arrived(0, Tag::kStepHeader) ? 0 : 1;
      one->recv_message(0, Tag::kStepHeader, {20s, "A"});
    }
    return rounds;
  };
  EXPECT_EQ(overtaken(0us), 0);
  EXPECT_GT(overtaken(5ms), 0);
}

TEST(ThreadWorld, NoticesBytesChangedUnderASend) {
  ThreadOptions options;
  options.check_sent_bytes = true;
  ThreadWorld world(2, options);
  auto zero = world.communicator(0);
  auto one = world.communicator(1);
  Bytes bytes(20);
  const PendingSend send = zero->send(bytes, 1, Tag::kActivations);
  bytes[13] = std::byte{1};
  EXPECT_THAT(
      [&] {
        zero->wait(send, {1s, "step 1"});
      },
      ThrowsMessage<std::logic_error>(HasSubstr(
          "rank 0 wrote into the 20 bytes of a kActivations to rank 1 before it was sent")));
}

TEST(ThreadWorld, RefusesNonsense) {
  EXPECT_THROW(ThreadWorld(0), std::logic_error);
  EXPECT_THROW(ThreadWorld(1, {.faults = {.drop = 1.5}}), std::logic_error);
  ThreadWorld world(1);
  const auto zero = world.communicator(0);
  EXPECT_THROW(world.communicator(0), std::logic_error);
  EXPECT_THROW(world.communicator(1), std::logic_error);
}

TEST(Spawn, ThrowsTheFirstFailureAndCancelsTheOthers) {
  std::atomic<int> cancelled = 0;
  const auto run = [&] {
    spawn(3, [&](Communicator& c) {
      if (c.rank() == 1) {
        std::this_thread::sleep_for(20ms);
        throw ConfigError("the first failure");
      }
      try {
        // For one that neither fails nor leaves before.
        c.recv_message(c.rank(), Tag::kTest, {60s, "nothing"});
      } catch (const PeerError& error) {
        EXPECT_THAT(error.what(), HasSubstr("rank 1 failed"));
        ++cancelled;
        throw;
      }
    });
  };
  EXPECT_THAT(run, ThrowsMessage<ConfigError>("the first failure"));
  EXPECT_EQ(cancelled, 2);
}

TEST(Spawn, EndsAtItsLimit) {
  const auto run = [] {
    spawn(2,
          [](Communicator& c) {
            c.recv_message(c.rank(), Tag::kTest, {60s, "nothing"});
          },
          {.threads = {}, .limit = 50ms});
  };
  EXPECT_THAT(run, ThrowsMessage<PeerError>("2 ranks still run after 50 ms"));
}

}  // namespace
}  // namespace varve
