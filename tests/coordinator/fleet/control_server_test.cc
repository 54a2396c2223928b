#include "coordinator/fleet/control_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>

#include "coordinator/fleet/interfaces.h"
#include "tests/coordinator/fleet/server_under_test.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;
using testing::ThrowsMessage;

const char* const kToken = ServerUnderTest::kToken;

TEST(ControlServer, WelcomesAndBeats) {
  auto options = ServerUnderTest::options(2);
  options.deadlines.peer = milliseconds(8000);
  ServerUnderTest test(std::move(options));
  RawPeer rank = test.connect();
  rank.send(Hello{kControlVersion, kToken, 1, "node-b", 4711});
  const auto welcome = rank.read_message<Welcome>();
  EXPECT_EQ(welcome.interval_ms, 1000u);
  EXPECT_EQ(welcome.peer_deadline_ms, 8000u);
  EXPECT_EQ(welcome.host, "node-a");
  const auto frame = rank.read();
  ASSERT_TRUE(frame);
  EXPECT_EQ(decode_control<Beat>(*frame).reporter, kNoRank) << "rank 0 has not arrived";
}

TEST(ControlServer, StatusFollowsTheHeartbeats) {
  ServerUnderTest test(ServerUnderTest::options(2));
  RawPeer rank = test.join(1, "node-b");
  rank.send(Heartbeat{{ActivityKind::kComputing, 12, kNoRank, 0}, {640, 1, 2, 3}});
  rank.send(Goodbye{});
  rank.read_message<Goodbye>();
  const RankStatus status = test.server().status()[1];
  EXPECT_EQ(status.state, RankState::kLeft);
  EXPECT_EQ(status.host, "node-b");
  EXPECT_EQ(status.pid, 4711u);
  EXPECT_EQ(status.activity.step, 12u);
  EXPECT_EQ(status.stage.rows_done, 640u);
}

TEST(ControlServer, DeathIsWrittenDownBeforeTheOthersEnd) {
  std::promise<void> written;
  auto options = ServerUnderTest::options(2);
  std::atomic<bool> done = false;
  options.on_verdict = [&, wait = written.get_future().share()](const Verdict&) {
    wait.wait();
    done = true;
  };
  ServerUnderTest test(std::move(options));
  RawPeer survivor = test.join(0, "node-a");
  RawPeer victim = test.join(1, "node-b");
  victim.send(Heartbeat{{ActivityKind::kComputing, 12, kNoRank, 0}, {}});
  victim.close();
  EXPECT_EQ(test.verdict().rank, 1);
  EXPECT_FALSE(done);
  written.set_value();
  const auto abort = survivor.read_message<Abort>();
  EXPECT_TRUE(done) << "Abort came before the verdict was written";
  EXPECT_EQ(abort.code, ExitCode::kRankLost);
  EXPECT_THAT(abort.verdict, MatchesRegex("rank 1 on node-b died \\(connection closed\\) while "
                                          "computing step 12, .* s after its last heartbeat"));
  EXPECT_TRUE(survivor.ended_by_server());
}

TEST(ControlServer, ResetIsADeathToo) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer victim = test.join(0, "node-b");
  victim.reset();
  EXPECT_THAT(test.verdict().text, StartsWith("rank 0 on node-b died (connection reset)"));
}

TEST(ControlServer, SilenceIsADeathAfterThePeerDeadline) {
  auto options = ServerUnderTest::options(1);
  options.deadlines.peer = milliseconds(300);
  ServerUnderTest test(std::move(options));
  RawPeer victim = test.join(0, "node-b");
  const auto since = std::chrono::steady_clock::now();
  victim.send(Heartbeat{{ActivityKind::kReceiving, 417, 1, 0}, {}});
  const Verdict verdict = test.verdict();
  EXPECT_GE(std::chrono::steady_clock::now() - since, milliseconds(300));
  EXPECT_THAT(verdict.text, AllOf(StartsWith("rank 0 on node-b was lost "),
                                  HasSubstr("no heartbeat; it was receiving activations of step "
                                            "417 from rank 1")));
  EXPECT_EQ(victim.read_message<Abort>().verdict, verdict.text) << "it may wake up";
}

TEST(ControlServer, StuckRankIsNamed) {
  auto options = ServerUnderTest::options(1);
  options.deadlines.peer = milliseconds(400);
  options.deadlines.step = milliseconds(500);
  ServerUnderTest test(std::move(options));
  RawPeer rank = test.join(0, "node-b");
  rank.send(Heartbeat{{ActivityKind::kComputing, 3, kNoRank, 600}, {}});
  while (test.verdict_count() == 0) {
    rank.send(Heartbeat{{ActivityKind::kComputing, 3, kNoRank, 600}, {}});
    ASSERT_TRUE(rank.read());
  }
  EXPECT_THAT(test.verdict().text,
              StartsWith("rank 0 on node-b is stuck: it has been computing step 3 for 0."));
}

TEST(ControlServer, ReportedFailureWinsOverDeathsAndComplaints) {
  ServerUnderTest test(ServerUnderTest::options(3));
  std::vector<RawPeer> ranks;
  for (std::uint32_t rank = 0; rank < 3; ++rank) ranks.push_back(test.join(rank));
  ranks[2].send(Failure{ExitCode::kRankLost, "no activations from rank 1 for 3.0 s"});
  ranks[0].close();
  ranks[1].send(Failure{ExitCode::kDoesNotFit, "the plan does not fit"});
  const Verdict verdict = test.verdict();
  EXPECT_EQ(verdict.text, "rank 1 on node-x failed: the plan does not fit");
  EXPECT_EQ(verdict.code, ExitCode::kDoesNotFit);
  EXPECT_EQ(ranks[1].read_message<Abort>().code, ExitCode::kDoesNotFit);
  EXPECT_EQ(ranks[2].read_message<Abort>().code, ExitCode::kDoesNotFit);
}

TEST(ControlServer, MalformedRankIsCutOff) {
  ServerUnderTest test(ServerUnderTest::options(2));
  RawPeer sound = test.join(0);
  RawPeer broken = test.join(1, "node-b");
  broken.send(Heartbeat{{static_cast<ActivityKind>(99), 0, 0, 0}, {}});
  EXPECT_TRUE(broken.ended_by_server());
  EXPECT_THAT(
      sound.read_message<Abort>().verdict,
      StartsWith("rank 1 on node-b was cut off (malformed heartbeat message: activity 99)"));
}

TEST(ControlServer, ServersOwnMessagesFromARankAreMalformed) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer rank = test.join(0);
  rank.send(Abort{ExitCode::kOther, "mutiny"});
  EXPECT_THAT(test.verdict().text, HasSubstr("malformed conversation: abort from a rank"));
}

TEST(ControlServer, AbsentRankIsNamedAfterTheStartDeadline) {
  auto options = ServerUnderTest::options(3);
  options.deadlines.start = milliseconds(200);
  ServerUnderTest test(std::move(options));
  RawPeer rank = test.join(1);
  EXPECT_EQ(rank.read_message<Abort>().verdict,
            "ranks 0 and 2 did not arrive within 0.2 s (start deadline)");
}

TEST(ControlServer, SignalBecomesTheVerdict) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer rank = test.join(0);
  test.server().interrupt(ExitCode::kTerminated, "terminated by SIGTERM");
  const auto abort = rank.read_message<Abort>();
  EXPECT_EQ(abort.code, ExitCode::kTerminated);
  EXPECT_EQ(abort.verdict, "terminated by SIGTERM");
}

TEST(ControlServer, VerdictThatCannotBeWrittenDownStillEndsTheOthers) {
  auto options = ServerUnderTest::options(2);
  options.on_verdict = [](const Verdict&) { throw std::runtime_error("disk full"); };
  ServerUnderTest test(std::move(options));
  RawPeer survivor = test.join(0);
  test.join(1).close();
  EXPECT_EQ(survivor.read_message<Abort>().code, ExitCode::kRankLost);
  EXPECT_TRUE(test.wait_for_log("could not be written down: disk full"));
}

TEST(ControlServer, NobodyIsTakenAfterTheVerdict) {
  ServerUnderTest test(ServerUnderTest::options(2));
  test.join(0).close();
  test.verdict();
  const auto verdict = test.server().finish(milliseconds(5000));
  ASSERT_TRUE(verdict);
  RawPeer late = test.connect();
  EXPECT_TRUE(!late.connected() || late.ended_by_server());
}

TEST(ControlServer, OrderlyEndHasNoVerdict) {
  ServerUnderTest test(ServerUnderTest::options(2));
  for (std::uint32_t rank : {0u, 1u}) {
    RawPeer peer = test.join(rank);
    peer.send(Goodbye{});
    EXPECT_TRUE(peer.ended_by_server());
  }
  EXPECT_FALSE(test.server().finish(milliseconds(5000)));
  test.stop();
  EXPECT_EQ(test.verdict_count(), 0u);
}

TEST(ControlServer, FinishWaitsForTheLastGoodbye) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer rank = test.join(0);
  auto finished =
      std::async(std::launch::async, [&] { return test.server().finish(milliseconds(10'000)); });
  EXPECT_EQ(finished.wait_for(milliseconds(50)), std::future_status::timeout);
  rank.send(Goodbye{});
  EXPECT_FALSE(finished.get());
}

TEST(ControlServer, FinishNamesWhoDoesNotLeave) {
  auto options = ServerUnderTest::options(2);
  options.deadlines.peer = milliseconds(400);
  ServerUnderTest test(std::move(options));
  RawPeer gone = test.join(0);
  gone.send(Goodbye{});
  gone.read_message<Goodbye>();
  RawPeer late = test.join(1, "node-b");
  auto finished =
      std::async(std::launch::async, [&] { return test.server().finish(milliseconds(100)); });
  while (test.verdict_count() == 0) {
    late.send(Heartbeat{{ActivityKind::kReporting, kNoStep, kNoRank, 0}, {}});
    ASSERT_TRUE(late.read());
  }
  late.close();
  const auto verdict = finished.get();
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->text,
            "rank 1 on node-b did not leave in time at the end of the run; it was reporting its "
            "results");
}

TEST(ControlServer, FinishReturnsThoughARankIsStopped) {
  auto options = ServerUnderTest::options(1);
  options.deadlines.peer = milliseconds(200);
  ServerUnderTest test(std::move(options));
  RawPeer stopped = test.join(0);  // reads nothing, closes nothing
  EXPECT_TRUE(test.server().finish(milliseconds(10'000)));
}

TEST(ControlServer, DestructionIsSeenByTheRanks) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer rank = test.join(0);
  test.stop();
  EXPECT_TRUE(rank.ended_by_server());
}

TEST(ControlServer, AllItsAddressesCanBeReached) {
  auto options = ServerUnderTest::options(1);
  options.bind = "";
  ServerUnderTest test(std::move(options));
  const auto addresses = test.server().addresses();
  EXPECT_EQ(addresses.size(), interface_addresses().size());
  for (const std::string& address : addresses) {
    RawPeer peer(address);
    EXPECT_TRUE(peer.connected()) << address;
    peer.send(Hello{kControlVersion, "x", 0, "node-x", 1});
    EXPECT_EQ(peer.read_message<Refusal>().reason, "wrong launch token") << address;
  }
}

TEST(ControlServer, WithoutIpv6) {
  auto options = ServerUnderTest::options(1);
  options.bind = "0.0.0.0";
  ServerUnderTest test(std::move(options));
  for (const std::string& address : test.server().addresses()) {
    EXPECT_EQ(address.find('['), std::string::npos) << address;
    EXPECT_TRUE(RawPeer(address).connected()) << address;
  }
}

TEST(ControlServer, BindsToAnInterfaceByName) {
  auto options = ServerUnderTest::options(1);
  options.bind = "lo";
  ServerUnderTest test(std::move(options));
  EXPECT_EQ(test.server().addresses(),
            std::vector{fmt::format("127.0.0.1:{}", test.server().port())});
}

TEST(ControlServer, PortThatIsTakenIsAnErrorThatNamesIt) {
  ServerUnderTest test(ServerUnderTest::options(1));
  auto options = ServerUnderTest::options(1);
  options.port = test.server().port();
  EXPECT_THAT(
      [&] { ControlServer second(options); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr(fmt::format("127.0.0.1 port {}", options.port)),
                                       HasSubstr("Address already in use"))));
}

TEST(ControlServer, UnknownInterfaceIsAnError) {
  auto options = ServerUnderTest::options(1);
  options.bind = "ib77";
  EXPECT_THROW(ControlServer server(options), ConfigError);
}

}  // namespace
}  // namespace varve
