#include "coordinator/jobs/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace varve {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A clock that the test turns, and what was written.
class ProgressTest : public testing::Test {
 protected:
  Progress make(bool terminal, std::size_t width = 200) {
    return Progress(
        {.terminal = terminal, .width = width},
        [this](std::string_view text) { written_.emplace_back(text); }, [this] { return busy_; },
        [this] { return now_; });
  }

  Progress::Time now_{};
  std::vector<double> busy_;
  std::vector<std::string> written_;
};

TEST_F(ProgressTest, LineSaysHowFarHowFastAndHowLong) {
  busy_ = {0.97, 0.951};
  Progress progress = make(false);
  progress.prefill(0, 3521);
  now_ += 5s;
  progress.prefill(2048, 3521);
  EXPECT_THAT(written_, ElementsAre("prefill 2048/3521 tokens (58 %)  410 tok/s  ETA 4 s  busy "
                                    "97 % 95 %\n"));
}

TEST_F(ProgressTest, TimeCountsFromTheFirstCallNotFromTheLoading) {
  Progress progress = make(false);
  now_ += 60s;
  progress.prefill(0, 1000);
  now_ += 5s;
  progress.prefill(500, 1000);
  EXPECT_THAT(written_, ElementsAre("prefill 500/1000 tokens (50 %)  100 tok/s  ETA 5 s\n"));
}

TEST_F(ProgressTest, WhatAnEarlierRunHasReadDoesNotCountInRates) {
  Progress progress = make(false);
  now_ += 60s;
  progress.prefill(0, 10000);
  progress.resume(5000);
  progress.prefill(5000, 10000);
  EXPECT_THAT(written_, IsEmpty());
  now_ += 5s;
  progress.prefill(6000, 10000);
  EXPECT_THAT(written_, ElementsAre("prefill 6000/10000 tokens (60 %)  200 tok/s  ETA 20 s\n"));
}

TEST_F(ProgressTest, PlainLinesComeNowAndThenAndAtTheEnd) {
  Progress progress = make(false);
  progress.prefill(0, 100);
  for (std::size_t i = 1; i <= 100; ++i) {
    now_ += 500ms;
    progress.prefill(i, 100);
  }
  // The first, then one every five seconds; the last falls on 50 s.
  ASSERT_THAT(written_, SizeIs(11));
  EXPECT_EQ(written_[1], "prefill 11/100 tokens (11 %)  2.0 tok/s  ETA 45 s\n");
  EXPECT_EQ(written_.back(), "prefill 100/100 tokens (100 %)  2.0 tok/s  took 50 s\n");
}

TEST_F(ProgressTest, TerminalLineIsRewrittenInPlace) {
  Progress progress = make(true);
  progress.prefill(0, 10);
  now_ += 200ms;
  progress.prefill(4, 10);
  now_ += 50ms;
  progress.prefill(5, 10);
  now_ += 150ms;
  progress.prefill(10, 10);
  progress.end();
  progress.end();
  EXPECT_THAT(written_,
              ElementsAre("\r\x1b[Kprefill 4/10 tokens (40 %)  20 tok/s  ETA < 1 s",
                          "\r\x1b[Kprefill 10/10 tokens (100 %)  25 tok/s  took < 1 s", "\n"));
}

TEST_F(ProgressTest, NarrowTerminalDoesNotWrap) {
  Progress progress = make(true, 20);
  progress.prefill(0, 10);
  now_ += 200ms;
  progress.prefill(4, 10);
  EXPECT_THAT(written_, ElementsAre("\r\x1b[Kprefill 4/10 tokens"));
}

TEST_F(ProgressTest, OtherOutputGetsRoom) {
  Progress progress = make(true);
  progress.clear();
  EXPECT_THAT(written_, IsEmpty());
  progress.decode(1, 0, 2);
  progress.clear();
  EXPECT_THAT(written_,
              ElementsAre("\r\x1b[Kdecode 1 tokens  0/2 questions done  - tok/s", "\r\x1b[K"));
  progress.end();
  EXPECT_THAT(written_, SizeIs(2));
}

TEST_F(ProgressTest, NothingOfTheTerminalsInPlainLines) {
  Progress progress = make(false);
  progress.decode(1, 0, 2);
  progress.clear();
  progress.end();
  EXPECT_THAT(written_, ElementsAre("decode 1 tokens  0/2 questions done  - tok/s\n"));
}

TEST_F(ProgressTest, DecodingCountsTokensAndQuestions) {
  busy_ = {0.5};
  Progress progress = make(false);
  progress.decode(8, 0, 8);
  now_ += 6s;
  progress.decode(68, 2, 8);
  now_ += 1s;
  progress.decode(75, 3, 8);  // too soon
  now_ += 1s;
  progress.decode(88, 8, 8);
  EXPECT_THAT(written_, ElementsAre("decode 8 tokens  0/8 questions done  - tok/s  busy 50 %\n",
                                    "decode 68 tokens  2/8 questions done  10 tok/s  busy 50 %\n",
                                    "decode 88 tokens  8/8 questions done  10 tok/s  busy 50 %\n"));
}

TEST_F(ProgressTest, LongWaitsAreInMinutes) {
  Progress progress = make(false);
  progress.prefill(0, 1000);
  now_ += 10s;
  progress.prefill(10, 1000);
  EXPECT_THAT(written_, ElementsAre("prefill 10/1000 tokens (1 %)  1.0 tok/s  ETA 16 min 30 s\n"));
}

}  // namespace
}  // namespace varve
