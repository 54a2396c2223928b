// The rules by which a verdict is found, on a simulated clock.
#include "coordinator/fleet/fleet_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace varve {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

constexpr milliseconds kTick{10};

// A fleet whose ranks all beat at each tick unless told not to.
class Fleet {
 public:
  explicit Fleet(int ranks, FleetDeadlines deadlines = {milliseconds(1000), milliseconds(3000),
                                                        milliseconds(10'000)})
      : beats_(static_cast<std::size_t>(ranks)),
        mute_(static_cast<std::size_t>(ranks)),
        watch_(ranks, deadlines, {}, kTick, now_) {}

  Fleet& all_arrive() {
    for (int rank = 0; rank < static_cast<int>(beats_.size()); ++rank) arrive(rank);
    return *this;
  }
  void arrive(int rank) {
    watch_.arrive({kControlVersion, "", static_cast<std::uint32_t>(rank),
                   std::string("host-") + static_cast<char>('a' + rank), 1000},
                  now_);
  }
  void does(int rank, ActivityKind kind, std::uint64_t step = kNoStep, std::uint32_t peer = kNoRank,
            milliseconds before = {}) {
    beats_.at(static_cast<std::size_t>(rank)) = {now_ - before, {kind, step, peer}};
  }
  void mute(int rank) { mute_.at(static_cast<std::size_t>(rank)) = true; }
  void fails(int rank, ExitCode code, const std::string& message) {
    watch_.failure(rank, {code, message}, now_);
    mute(rank);
  }
  void dies(int rank) {
    watch_.connection_ended(rank, "died (connection closed)", now_);
    mute(rank);
  }
  void leaves(int rank) {
    watch_.goodbye(rank, now_);
    mute(rank);
  }

  /// Lets time go by; the verdict if one comes.
  std::optional<Verdict> run(milliseconds time) {
    for (const ControlTime end = now_ + time; now_ < end;) {
      now_ += kTick;
      beat();
      if (auto verdict = watch_.tick(now_)) return verdict;
    }
    return std::nullopt;
  }
  FleetWatch& watch() { return watch_; }
  ControlTime now() const { return now_; }
  void jump(milliseconds time) { now_ += time; }

 private:
  struct Doing {
    ControlTime since{};
    Activity activity;
  };
  void beat() {
    for (std::size_t i = 0; i < beats_.size(); ++i) {
      if (mute_[i]) continue;
      Activity activity = beats_[i].activity;
      activity.since_ms = static_cast<std::uint32_t>(
          std::chrono::duration_cast<milliseconds>(now_ - beats_[i].since).count());
      watch_.heartbeat(static_cast<int>(i), {activity, {}}, now_);
    }
  }

  ControlTime now_{std::chrono::hours(1)};
  std::vector<Doing> beats_;
  std::vector<bool> mute_;
  FleetWatch watch_;
};

TEST(FleetWatch, NothingToSayOfAHealthyFleet) {
  Fleet fleet(3);
  fleet.all_arrive();
  EXPECT_FALSE(fleet.run(milliseconds(60'000)));
}

TEST(FleetWatch, SilentRankIsLostAfterThePeerDeadline) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.does(2, ActivityKind::kReceiving, 417, 1);
  EXPECT_FALSE(fleet.run(milliseconds(100)));
  fleet.mute(2);
  EXPECT_FALSE(fleet.run(milliseconds(2990)));
  const auto verdict = fleet.run(milliseconds(200));
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text,
            "rank 2 on host-c was lost 3.1 s ago: no heartbeat; it was receiving activations of "
            "step 417 from rank 1");
  EXPECT_EQ(verdict->code, ExitCode::kRankLost);
  EXPECT_EQ(verdict->rank, 2);
  EXPECT_EQ(verdict->host, "host-c");
}

TEST(FleetWatch, EndedConnectionIsADeathAtOnce) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.does(1, ActivityKind::kComputing, 12);
  EXPECT_FALSE(fleet.run(milliseconds(100)));
  fleet.mute(1);
  EXPECT_FALSE(fleet.run(milliseconds(400)));
  fleet.dies(1);
  EXPECT_FALSE(fleet.run(milliseconds(140))) << "evidence settles first";
  const auto verdict = fleet.run(milliseconds(10));
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text,
            "rank 1 on host-b died (connection closed) while computing step 12, 0.4 s after its "
            "last heartbeat");
  EXPECT_EQ(verdict->code, ExitCode::kRankLost);
}

TEST(FleetWatch, OneVerdictOnly) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.dies(1);
  EXPECT_TRUE(fleet.run(milliseconds(500)));
  fleet.dies(2);
  fleet.watch().interrupt(ExitCode::kTerminated, "terminated by SIGTERM", fleet.now());
  EXPECT_FALSE(fleet.run(milliseconds(60'000)));
}

TEST(FleetWatch, EarliestOfSeveralDeathsWins) {
  Fleet fleet(4);
  fleet.all_arrive();
  fleet.dies(2);
  EXPECT_FALSE(fleet.run(milliseconds(20)));
  fleet.dies(1);
  fleet.dies(3);
  EXPECT_EQ(fleet.run(milliseconds(500)).value().rank, 2);
}

TEST(FleetWatch, ReportedFailureWinsOverDeathsAroundIt) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.dies(2);
  EXPECT_FALSE(fleet.run(milliseconds(20)));
  fleet.fails(0, ExitCode::kUsage, "model.gguf: truncated\nat byte 7");
  fleet.dies(0);
  const auto verdict = fleet.run(milliseconds(500)).value();
  EXPECT_EQ(verdict.text, "rank 0 on host-a failed: model.gguf: truncated at byte 7");
  EXPECT_EQ(verdict.code, ExitCode::kUsage);
}

TEST(FleetWatch, WhoFailsForWantOfAnotherIsNotTheCause) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.fails(2, ExitCode::kRankLost, "no activations of step 3 from rank 1 for 3.0 s");
  EXPECT_FALSE(fleet.run(milliseconds(100)));
  fleet.dies(1);
  EXPECT_THAT(fleet.run(milliseconds(500)).value().text, StartsWith("rank 1 on host-b died"));
}

TEST(FleetWatch, ComplaintWaitsForASilenceThatExplainsIt) {
  Fleet fleet(3);
  fleet.all_arrive();
  EXPECT_FALSE(fleet.run(milliseconds(100)));
  fleet.mute(1);
  EXPECT_FALSE(fleet.run(milliseconds(500)));
  fleet.fails(2, ExitCode::kRankLost, "no activations of step 3 from rank 1 for 0.5 s");
  EXPECT_THAT(fleet.run(milliseconds(4000)).value().text, StartsWith("rank 1 on host-b was lost"));
}

TEST(FleetWatch, ComplaintStandsWhenAllOthersAreAlive) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.fails(2, ExitCode::kRankLost, "no activations of step 3 from rank 1 for 0.5 s");
  const auto verdict = fleet.run(milliseconds(200)).value();
  EXPECT_EQ(verdict.text,
            "rank 2 on host-c failed: no activations of step 3 from rank 1 for 0.5 s");
  EXPECT_EQ(verdict.code, ExitCode::kRankLost);
}

TEST(FleetWatch, FailureWithoutAKnownCodeIsOther) {
  Fleet fleet(1);
  fleet.all_arrive();
  fleet.fails(0, static_cast<ExitCode>(0), "odd");
  EXPECT_EQ(fleet.run(milliseconds(500)).value().code, ExitCode::kOther);
}

TEST(FleetWatch, StuckRankIsNamedAfterTheStepDeadline) {
  Fleet fleet(2);
  fleet.all_arrive();
  fleet.does(1, ActivityKind::kComputing, 12);
  EXPECT_FALSE(fleet.run(milliseconds(9'990)));
  const auto verdict = fleet.run(milliseconds(300)).value();
  EXPECT_EQ(verdict.text,
            "rank 1 on host-b is stuck: it has been computing step 12 for 10.2 s (step deadline "
            "10 s)");
  EXPECT_EQ(verdict.code, ExitCode::kRankLost);
}

TEST(FleetWatch, WhoWaitsForAStuckRankIsNotStuck) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.does(2, ActivityKind::kReceiving, 12, 1);
  fleet.does(0, ActivityKind::kSending, 13, 1);
  fleet.run(milliseconds(10));
  fleet.does(1, ActivityKind::kComputing, 12);
  EXPECT_THAT(fleet.run(milliseconds(11'000)).value().text,
              StartsWith("rank 1 on host-b is stuck: it has been computing step 12"));
}

TEST(FleetWatch, WaitingForARankThatWorksIsPatience) {
  Fleet fleet(2);
  fleet.all_arrive();
  fleet.does(1, ActivityKind::kReceiving, 50, 0);
  for (std::uint64_t step = 0; step < 5; ++step) {
    fleet.does(0, ActivityKind::kComputing, step);
    EXPECT_FALSE(fleet.run(milliseconds(8'000))) << step;
  }
  fleet.does(0, ActivityKind::kLoading);
  EXPECT_FALSE(fleet.run(milliseconds(60'000)));
}

TEST(FleetWatch, TwoThatWaitForEachOtherAreStuck) {
  Fleet fleet(2);
  fleet.all_arrive();
  fleet.does(0, ActivityKind::kSending, 4, 1);
  fleet.does(1, ActivityKind::kReceiving, 4, 0);
  EXPECT_THAT(fleet.run(milliseconds(11'000)).value().text, HasSubstr("is stuck"));
}

TEST(FleetWatch, WaitingForARankThatWaitsForNothingIsStuck) {
  Fleet fleet(2);
  fleet.all_arrive();
  fleet.does(0, ActivityKind::kIdle);
  fleet.does(1, ActivityKind::kReceiving, 4, 0);
  EXPECT_THAT(fleet.run(milliseconds(11'000)).value().text,
              StartsWith("rank 1 on host-b is stuck: it has been receiving activations of step 4 "
                         "from rank 0"));
}

TEST(FleetWatch, WaitingForAStepTakesAsLongAsItLikes) {
  Fleet fleet(2);
  fleet.all_arrive();
  for (ActivityKind kind :
       {ActivityKind::kStarting, ActivityKind::kLoading, ActivityKind::kWaitingStep,
        ActivityKind::kReporting, ActivityKind::kIdle, ActivityKind::kDone}) {
    fleet.does(0, kind);
    fleet.does(1, kind);
    EXPECT_FALSE(fleet.run(milliseconds(60'000))) << static_cast<int>(kind);
  }
}

TEST(FleetWatch, WhoGetsOnInTheLastMomentIsSpared) {
  Fleet fleet(1);
  fleet.all_arrive();
  fleet.does(0, ActivityKind::kComputing, 12);
  EXPECT_FALSE(fleet.run(milliseconds(10'100)));
  fleet.does(0, ActivityKind::kComputing, 13);
  EXPECT_FALSE(fleet.run(milliseconds(5'000)));
}

TEST(FleetWatch, NoStepDeadlineMeansNone) {
  Fleet fleet(1, {milliseconds(1000), milliseconds(3000), milliseconds(0)});
  fleet.all_arrive();
  fleet.does(0, ActivityKind::kComputing, 12);
  EXPECT_FALSE(fleet.run(milliseconds(100'000)));
}

TEST(FleetWatch, SilentCulpritBehindAStuckRank) {
  Fleet fleet(2, {milliseconds(1000), milliseconds(3000), milliseconds(2000)});
  fleet.all_arrive();
  fleet.does(0, ActivityKind::kComputing, 5);
  fleet.does(1, ActivityKind::kReceiving, 5, 0);
  EXPECT_FALSE(fleet.run(milliseconds(50)));
  fleet.mute(0);
  EXPECT_THAT(fleet.run(milliseconds(5'000)).value().text, StartsWith("rank 0 on host-a was lost"));
}

TEST(FleetWatch, AbsentRanksAreNamedAfterTheStartDeadline) {
  Fleet fleet(2);
  fleet.arrive(0);
  fleet.mute(1);
  EXPECT_FALSE(fleet.run(milliseconds(990)));
  const auto verdict = fleet.run(milliseconds(200)).value();
  EXPECT_EQ(verdict.text, "rank 1 did not arrive within 1 s (start deadline)");
  EXPECT_EQ(verdict.rank, 1);
  EXPECT_EQ(verdict.host, "");
  EXPECT_EQ(verdict.code, ExitCode::kRankLost);
}

TEST(FleetWatch, SeveralAbsentRanksAreListed) {
  Fleet fleet(5, {milliseconds(300), milliseconds(3000), milliseconds(0)});
  fleet.arrive(1);
  for (int rank : {0, 2, 3, 4}) fleet.mute(rank);
  EXPECT_EQ(fleet.run(milliseconds(1000)).value().text,
            "ranks 0, 2, 3 and 4 did not arrive within 0.3 s (start deadline)");
}

TEST(FleetWatch, SignalIsTheReasonIfNobodyIsLost) {
  Fleet fleet(2);
  fleet.all_arrive();
  fleet.watch().interrupt(ExitCode::kTerminated, "terminated by SIGTERM", fleet.now());
  EXPECT_FALSE(fleet.run(milliseconds(290)));
  const auto verdict = fleet.run(milliseconds(20)).value();
  EXPECT_EQ(verdict.text, "terminated by SIGTERM");
  EXPECT_EQ(verdict.code, ExitCode::kTerminated);
  EXPECT_EQ(verdict.rank, -1);
  EXPECT_EQ(verdict.host, "");
}

TEST(FleetWatch, SignalIsAnEchoIfARankIsLost) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.watch().interrupt(ExitCode::kTerminated, "terminated by SIGTERM", fleet.now());
  fleet.fails(1, ExitCode::kTerminated, "terminated by SIGTERM");
  EXPECT_FALSE(fleet.run(milliseconds(200)));
  fleet.dies(2);
  const auto verdict = fleet.run(milliseconds(500)).value();
  EXPECT_EQ(verdict.rank, 2);
  EXPECT_EQ(verdict.code, ExitCode::kRankLost);
}

TEST(FleetWatch, SignalToOneRankOnlyEndsTheRun) {
  Fleet fleet(2);
  fleet.all_arrive();
  fleet.fails(1, ExitCode::kInterrupted, "interrupted by SIGINT");
  fleet.dies(1);
  const auto verdict = fleet.run(milliseconds(500)).value();
  EXPECT_EQ(verdict.text, "rank 1 on host-b failed: interrupted by SIGINT");
  EXPECT_EQ(verdict.code, ExitCode::kInterrupted);
}

TEST(FleetWatch, GoodbyeIsNoLoss) {
  Fleet fleet(2);
  fleet.all_arrive();
  for (int rank : {0, 1}) {
    EXPECT_FALSE(fleet.watch().everyone_left());
    fleet.leaves(rank);
    fleet.dies(rank);
  }
  EXPECT_TRUE(fleet.watch().everyone_left());
  EXPECT_FALSE(fleet.run(milliseconds(60'000)));
}

TEST(FleetWatch, WhoDoesNotLeaveInTimeIsNamed) {
  Fleet fleet(3);
  fleet.all_arrive();
  fleet.does(1, ActivityKind::kReporting);
  fleet.leaves(0);
  fleet.leaves(2);
  fleet.watch().expect_goodbyes(fleet.now() + milliseconds(500));
  EXPECT_FALSE(fleet.run(milliseconds(490)));
  EXPECT_EQ(fleet.run(milliseconds(300)).value().text,
            "rank 1 on host-b did not leave in time at the end of the run; it was reporting its "
            "results");
}

TEST(FleetWatch, LateGoodbyeStillCounts) {
  Fleet fleet(1);
  fleet.all_arrive();
  fleet.watch().expect_goodbyes(fleet.now() + milliseconds(500));
  EXPECT_FALSE(fleet.run(milliseconds(600)));
  fleet.leaves(0);
  EXPECT_FALSE(fleet.run(milliseconds(1000)));
}

TEST(FleetWatch, OwnAbsenceIsForgiven) {
  Fleet fleet(2);
  fleet.all_arrive();
  EXPECT_FALSE(fleet.run(milliseconds(100)));
  for (int rank : {0, 1}) fleet.mute(rank);
  fleet.jump(milliseconds(20'000));  // this process was stopped
  EXPECT_FALSE(fleet.run(milliseconds(2'900)));
  EXPECT_TRUE(fleet.run(milliseconds(500))) << "but not what comes after";
}

// The others took this process for lost while it was stopped, and said so; a launcher then woke it.
TEST(FleetWatch, WhatComesOfALongOwnAbsenceIsNotBlamedOnOthers) {
  for (const char* echo : {"they died", "a signal", "own complaint"}) {
    Fleet fleet(3);
    fleet.all_arrive();
    EXPECT_FALSE(fleet.run(milliseconds(100)));
    fleet.jump(milliseconds(3'400));
    for (int rank : {1, 2}) fleet.dies(rank);  // their connections, before the first tick
    if (echo == std::string("a signal")) {
      fleet.watch().interrupt(ExitCode::kTerminated, "terminated by SIGTERM", fleet.now());
    } else if (echo == std::string("own complaint")) {
      fleet.fails(0, ExitCode::kRankLost, "rank 0 waited 3.4 s for rank 2");
    }
    const auto verdict = fleet.run(milliseconds(1000));
    ASSERT_TRUE(verdict) << echo;
    EXPECT_TRUE(verdict->said) << echo;
    EXPECT_EQ(verdict->rank, 0) << echo;
    EXPECT_EQ(verdict->code, ExitCode::kRankLost) << echo;
    EXPECT_EQ(verdict->text,
              "rank 0 on host-a, which hosts the coordinator, was stopped or starved for 3.4 s");
  }
}

TEST(FleetWatch, AfterAShortAbsenceOrWhenOthersAreWellALossIsALoss) {
  Fleet brief(3);
  brief.all_arrive();
  EXPECT_FALSE(brief.run(milliseconds(100)));
  brief.jump(milliseconds(2'000));
  for (int rank : {1, 2}) brief.dies(rank);
  EXPECT_FALSE(brief.run(milliseconds(1000)).value().said);

  Fleet fleet(3);
  fleet.all_arrive();
  EXPECT_FALSE(fleet.run(milliseconds(100)));
  fleet.jump(milliseconds(3'400));
  fleet.dies(2);
  const auto verdict = fleet.run(milliseconds(1000));
  ASSERT_TRUE(verdict);
  EXPECT_FALSE(verdict->said) << "rank 1 still beats";
  EXPECT_EQ(verdict->rank, 2);

  Fleet later(2);
  later.all_arrive();
  later.jump(milliseconds(3'400));
  EXPECT_FALSE(later.run(milliseconds(4'000)));
  later.dies(1);
  EXPECT_FALSE(later.run(milliseconds(1000)).value().said);
}

TEST(FleetWatch, ObjectionsToAHello) {
  Fleet fleet(2);
  EXPECT_EQ(fleet.watch().objection({kControlVersion, "", 1, "x", 5}), "");
  EXPECT_EQ(fleet.watch().objection({kControlVersion, "", 2, "x", 5}), "rank 2 of 2 ranks");
  fleet.arrive(1);
  EXPECT_EQ(fleet.watch().objection({kControlVersion, "", 1, "x", 5}),
            "rank 1 is taken by process 1000 on host-b");
}

TEST(FleetWatch, ReporterIsTheLowestPresentRankButZeroOnceAllHaveArrived) {
  Fleet fleet(3);
  EXPECT_EQ(fleet.watch().reporter(), kNoRank);
  fleet.arrive(0);
  EXPECT_EQ(fleet.watch().reporter(), kNoRank);
  fleet.arrive(2);
  EXPECT_EQ(fleet.watch().reporter(), kNoRank) << "rank 1 may come, and be told otherwise";
  EXPECT_FALSE(fleet.watch().everyone_arrived());
  fleet.arrive(1);
  EXPECT_TRUE(fleet.watch().everyone_arrived());
  EXPECT_EQ(fleet.watch().reporter(), 1u);
  fleet.dies(1);
  EXPECT_EQ(fleet.watch().reporter(), 2u);
}

TEST(FleetWatch, StatusShowsEveryRank) {
  Fleet fleet(3);
  fleet.arrive(0);
  fleet.arrive(1);
  fleet.watch().heartbeat(0, {{ActivityKind::kComputing, 7, kNoRank, 50}, {1, 2, 3, 4}},
                          fleet.now());
  fleet.fails(1, ExitCode::kOther, "x");
  const auto status = fleet.watch().status(fleet.now() + milliseconds(30));
  ASSERT_EQ(status.size(), 3u);
  EXPECT_EQ(status[0].state, RankState::kPresent);
  EXPECT_EQ(status[0].host, "host-a");
  EXPECT_EQ(status[0].activity.since_ms, 80u);
  EXPECT_EQ(status[0].since_heartbeat, milliseconds(30));
  EXPECT_EQ(status[0].stage.kv_bytes, 4u);
  EXPECT_EQ(status[1].state, RankState::kFailed);
  EXPECT_EQ(status[2].state, RankState::kAbsent);
  EXPECT_EQ(status[2].rank, 2);
  EXPECT_EQ(rank_state_name(status[2].state), "absent");
}

}  // namespace
}  // namespace varve
