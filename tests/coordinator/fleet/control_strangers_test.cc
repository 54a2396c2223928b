// Who may not come in, and that it costs the others nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/fleet/server_under_test.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

const char* const kToken = ServerUnderTest::kToken;

void say_goodbye(RawPeer& peer) {
  peer.send(Goodbye{});
  peer.read_message<Goodbye>();
}

std::string refusal_of(RawPeer& peer) {
  return peer.read_message<Refusal>().reason;
}

TEST(ControlStrangers, WrongTokenIsRefusedAndNotRepeatedInTheLog) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer stranger = test.connect();
  stranger.send(Hello{kControlVersion, "0123456789abcdef0123456789abcdee", 0, "node-x", 1});
  EXPECT_EQ(refusal_of(stranger), "wrong launch token");
  EXPECT_TRUE(stranger.ended_by_server());
  EXPECT_TRUE(test.wait_for_log("refused 127.0.0.1:"));
  EXPECT_THAT(test.log(), Not(HasSubstr("abcdee")));
  EXPECT_EQ(test.server().status()[0].state, RankState::kAbsent);
  RawPeer rank = test.join(0);
  say_goodbye(rank);
}

TEST(ControlStrangers, MissingTokenIsRefused) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer stranger = test.connect();
  stranger.send(Hello{kControlVersion, "", 0, "node-x", 1});
  EXPECT_EQ(refusal_of(stranger), "wrong launch token");
}

TEST(ControlStrangers, RankOutOfRangeIsToldOnlyToWhoKnowsTheToken) {
  ServerUnderTest test(ServerUnderTest::options(3));
  RawPeer stranger = test.connect();
  stranger.send(Hello{kControlVersion, "x", 3, "node-x", 1});
  EXPECT_EQ(refusal_of(stranger), "wrong launch token");
  RawPeer mistaken = test.connect();
  mistaken.send(Hello{kControlVersion, kToken, 3, "node-x", 1});
  EXPECT_EQ(refusal_of(mistaken), "rank 3 of 3 ranks");
  EXPECT_TRUE(test.wait_for_log("process 1 on node-x: rank 3 of 3 ranks"));
}

TEST(ControlStrangers, RankThatIsTakenIsRefused) {
  ServerUnderTest test(ServerUnderTest::options(2));
  RawPeer first = test.join(1, "node-b");
  RawPeer second = test.connect();
  second.send(Hello{kControlVersion, kToken, 1, "node-c", 2});
  EXPECT_EQ(refusal_of(second), "rank 1 is taken by process 4711 on node-b");
  EXPECT_TRUE(second.ended_by_server());
  say_goodbye(first);
  EXPECT_EQ(test.server().status()[1].host, "node-b");
}

TEST(ControlStrangers, AnotherVersionIsRefused) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer stranger = test.connect();
  stranger.send(Hello{kControlVersion + 1, kToken, 0, "node-x", 1});
  EXPECT_THAT(refusal_of(stranger), HasSubstr("version 2, this build speaks 1"));
}

TEST(ControlStrangers, AnotherMessageThanHelloIsRefused) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer stranger = test.connect();
  stranger.send(Failure{ExitCode::kOther, "evil"});
  EXPECT_THAT(refusal_of(stranger), HasSubstr("failure where hello was due"));
  EXPECT_EQ(test.verdict_count(), 0u);
}

TEST(ControlStrangers, OneTryEach) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer stranger = test.connect();
  stranger.send(Hello{kControlVersion, "guess", 0, "node-x", 1});
  stranger.send(Hello{kControlVersion, kToken, 0, "node-x", 1});
  EXPECT_TRUE(stranger.ended_by_server());
  EXPECT_EQ(test.server().status()[0].state, RankState::kAbsent);
}

TEST(ControlStrangers, JunkIsCutOff) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer browser = test.connect();
  browser.send_text("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(browser.ended_by_server());
  EXPECT_TRUE(test.wait_for_log("malformed frame"));
  RawPeer rank = test.join(0);
  say_goodbye(rank);
}

TEST(ControlStrangers, LargeHelloIsCutOff) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer stranger = test.connect();
  stranger.send(Hello{kControlVersion, std::string(5000, 'x'), 0, "node-x", 1});
  EXPECT_TRUE(stranger.ended_by_server());
  EXPECT_TRUE(test.wait_for_log("at most 4096 allowed"));
}

TEST(ControlStrangers, HelloByteByByteIsFine) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer rank = test.connect();
  const auto bytes = encode_control(Hello{kControlVersion, kToken, 0, "node-x", 1});
  for (const std::byte& b : bytes) rank.send_bytes(std::span(&b, 1));
  EXPECT_EQ(rank.read_message<Welcome>().host, "node-a");
  say_goodbye(rank);
}

TEST(ControlStrangers, WhoSaysNothingIsCutOff) {
  auto options = ServerUnderTest::options(1);
  options.hello_deadline = milliseconds(100);
  ServerUnderTest test(std::move(options));
  RawPeer silent = test.connect();
  RawPeer half = test.connect();
  half.send_text("VRV1");
  EXPECT_TRUE(silent.ended_by_server());
  EXPECT_TRUE(half.ended_by_server());
  EXPECT_THAT(test.log(), HasSubstr("no hello in time"));
  EXPECT_EQ(test.verdict_count(), 0u);
}

TEST(ControlStrangers, ManyCannotKeepARankOut) {
  auto options = ServerUnderTest::options(1);
  options.max_strangers = 3;
  ServerUnderTest test(std::move(options));
  std::vector<RawPeer> crowd;
  for (int i = 0; i < 4; ++i) crowd.push_back(test.connect());
  EXPECT_TRUE(crowd.front().ended_by_server()) << "the oldest makes room";
  EXPECT_THAT(test.log(), HasSubstr("too many connections"));
  RawPeer rank = test.join(0);
  say_goodbye(rank);
}

TEST(ControlStrangers, HostNameCannotForgeLines) {
  ServerUnderTest test(ServerUnderTest::options(1));
  RawPeer rank = test.join(0, "node-x\nrank 1 on node-b died");
  rank.close();
  EXPECT_THAT(test.verdict().text, testing::StartsWith("rank 0 on node-x rank 1 on node-b died"));
}

}  // namespace
}  // namespace varve
