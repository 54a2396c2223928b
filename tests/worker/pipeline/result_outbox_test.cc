#include "worker/pipeline/result_outbox.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/spawn.h"

namespace varve {
namespace {

using std::chrono::seconds;

StepResult result(std::uint64_t step, const std::vector<std::uint32_t>& sequences) {
  StepResult r{.step = step, .tokens = {}};
  for (const std::uint32_t s : sequences) r.tokens.push_back({.sequence = s, .position = 9});
  return r;
}

void take_results(Communicator& comm, const std::vector<std::uint64_t>& steps) {
  for (const std::uint64_t step : steps) {
    const auto bytes = comm.recv_message(1, Tag::kTokens, {seconds(30), "a result"});
    EXPECT_EQ(from_bytes<StepResult>(bytes, "result").step, step);
  }
  comm.wait(comm.send({}, 1, Tag::kCredit), {seconds(30), "word of it"});
}

void hear(Communicator& comm) {
  comm.recv({}, 0, Tag::kCredit, {seconds(30), "word of it"});
}

// Sends end when they are received, so whatever the outbox waits for must have been taken.
TEST(ResultOutbox, WaitsOnlyForWhatIsKnownToBeTaken) {
  const auto last_stage = [](Communicator& comm) {
    ResultOutbox outbox(comm, seconds(30));
    outbox.send(result(0, {1, 2}));
    outbox.send(result(1, {3}));
    outbox.send(result(2, {4}));
    EXPECT_EQ(outbox.under_way(), 3U);
    comm.wait(comm.send({}, 0, Tag::kStepHeader), {seconds(30), "all sent"});
    hear(comm);  // steps 0 and 1 are taken
    outbox.settle(7);
    EXPECT_EQ(outbox.under_way(), 3U);
    outbox.send(result(3, {2}));
    EXPECT_EQ(outbox.under_way(), 3U);
    outbox.settle(3);
    EXPECT_EQ(outbox.under_way(), 2U);
    outbox.settle(3);
    EXPECT_EQ(outbox.under_way(), 2U);
    outbox.flush();
    EXPECT_EQ(outbox.under_way(), 0U);
    hear(comm);
  };
  const auto first_stage = [](Communicator& comm) {
    comm.recv({}, 1, Tag::kStepHeader, {seconds(30), "all sent"});
    take_results(comm, {0, 1});
    take_results(comm, {2, 3});
  };
  spawn(2,
        [&](Communicator& comm) { return comm.rank() == 0 ? first_stage(comm) : last_stage(comm); },
        {.threads = {.eager_bytes = 0, .check_sent_bytes = true}});
}

}  // namespace
}  // namespace varve
