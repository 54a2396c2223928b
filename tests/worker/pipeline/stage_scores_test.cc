#include "worker/pipeline/stage_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/support/spawn.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int64_t> of_rank(int rank, std::int64_t step) {
  return {rank + 1, step, 1000 * rank * step};
}

TEST(StageScores, EveryStageTakesTheSumOfAll) {
  for (const int ranks : {1, 2, 4}) {
    spawn(ranks, [&](Communicator& comm) {
      StageScores scores(comm, seconds(30), [](int) {});
      for (std::int64_t step = 0; step < 20; ++step) {
        const std::uint64_t number = scores.give(of_rank(comm.rank(), step));
        EXPECT_EQ(number, static_cast<std::uint64_t>(step));
        const std::int64_t n = ranks;
        EXPECT_THAT(scores.take(number),
                    ElementsAre(n * (n + 1) / 2, n * step, 1000 * step * n * (n - 1) / 2));
        // What is held is what the others have not yet said to have.
        EXPECT_LE(scores.under_way(), 2U);
      }
      scores.flush();
      EXPECT_EQ(scores.under_way(), 0U);
    });
  }
}

// Two streams whose selections are late by different numbers of compactions; one is never taken.
TEST(StageScores, NumbersMayBeTakenInAnyOrderOrNever) {
  spawn(3, [](Communicator& comm) {
    StageScores scores(comm, seconds(30), [](int) {});
    std::vector<std::uint64_t> numbers;
    for (std::int64_t step = 0; step < 4; ++step) {
      numbers.push_back(scores.give(of_rank(comm.rank(), step)));
    }
    EXPECT_THAT(scores.take(numbers[2]), ElementsAre(6, 6, 6000));
    EXPECT_THAT(scores.take(numbers[0]), ElementsAre(6, 0, 0));
    EXPECT_THAT(scores.take(numbers[3]), ElementsAre(6, 9, 9000));
    scores.flush();
    EXPECT_EQ(scores.under_way(), 0U);
  });
}

// The first stage runs ahead; the last one's sums come when they come.
TEST(StageScores, GivingDoesNotWait) {
  spawn(2, [](Communicator& comm) {
    StageScores scores(comm, seconds(30), [](int) {});
    if (comm.rank() == 1) comm.recv({}, 0, Tag::kTest, {seconds(30), "the word to begin"});
    for (std::int64_t step = 0; step < 5; ++step) scores.give(of_rank(comm.rank(), step));
    if (comm.rank() == 0) comm.wait(comm.send({}, 1, Tag::kTest), {seconds(30), "the word"});
    for (std::uint64_t number = 0; number < 5; ++number) EXPECT_EQ(scores.take(number)[0], 3);
    scores.flush();
  });
}

TEST(StageScores, SaysForWhomItWaitedAndForWhat) {
  std::string text;
  int waited_for = -1;
  spawn(2, [&](Communicator& comm) {
    if (comm.rank() == 1) {
      // Takes part, but gives nothing until it is told.
      comm.recv({}, 0, Tag::kTest, {seconds(30), "the word to end"});
      return;
    }
    StageScores scores(comm, milliseconds(50), [&](int peer) { waited_for = peer; });
    try {
      scores.take(scores.give(of_rank(0, 1)));
    } catch (const PeerError& error) {
      text = error.what();
    }
    comm.wait(comm.send({}, 1, Tag::kTest), {seconds(30), "the word"});
  });
  EXPECT_THAT(text, HasSubstr("scores of cached rows"));
  EXPECT_THAT(text, HasSubstr("rank 1"));
  EXPECT_EQ(waited_for, 1);
}

}  // namespace
}  // namespace varve
