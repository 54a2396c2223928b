// Ranks as threads of one process, each with a client, against a real server over loopback.
#include "worker/service/control_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "coordinator/fleet/control_server.h"
#include "coordinator/fleet/token.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;
using testing::ThrowsMessage;

constexpr milliseconds kPatience{10'000};

// What on_abort told a rank.
class Notices {
 public:
  void add(const AbortNotice& notice) {
    const std::lock_guard lock(mutex_);
    all_.push_back(notice);
    changed_.notify_all();
  }
  AbortNotice wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return !all_.empty(); });
    return all_.empty() ? AbortNotice{} : all_.front();
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return all_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<AbortNotice> all_;
};

struct Rank {
  std::unique_ptr<Notices> notices = std::make_unique<Notices>();
  std::unique_ptr<ControlClient> client;
};

class Fleet {
 public:
  explicit Fleet(int ranks, milliseconds peer_deadline = kPatience) {
    server_options_.ranks = ranks;
    server_options_.token = make_launch_token();
    server_options_.host = "node-a";
    server_options_.bind = "127.0.0.1";
    server_options_.deadlines = {kPatience, peer_deadline, milliseconds(0)};
    server_options_.settle = {milliseconds(50), milliseconds(100)};
    server_options_.on_verdict = [this](const Verdict&) { ++verdicts_; };
    server_ = std::make_unique<ControlServer>(server_options_);
  }

  ControlClient::Options client_options(int rank) const {
    ControlClient::Options o;
    o.addresses = server_->addresses();
    o.token = server_options_.token;
    o.rank = rank;
    o.host = std::string("node-") + static_cast<char>('a' + rank);
    o.start_deadline = kPatience;
    return o;
  }
  Rank join(int rank) const { return join(client_options(rank)); }
  static Rank join(ControlClient::Options options) {
    Rank rank;
    options.on_abort = [notices = rank.notices.get()](const AbortNotice& n) { notices->add(n); };
    rank.client = std::make_unique<ControlClient>(options);
    return rank;
  }
  std::vector<Rank> all_join() const {
    std::vector<Rank> ranks;
    for (int rank = 0; rank < server_options_.ranks; ++rank) ranks.push_back(join(rank));
    return ranks;
  }

  // Until rank `rank` is seen doing step `step`.
  void wait_for_step(int rank, std::uint64_t step) {
    const auto by = std::chrono::steady_clock::now() + kPatience;
    while (server_->status().at(static_cast<std::size_t>(rank)).activity.step != step) {
      ASSERT_LT(std::chrono::steady_clock::now(), by);
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
  ControlServer& server() { return *server_; }
  void destroy_server() { server_.reset(); }
  int verdicts() const { return verdicts_; }

 private:
  std::atomic<int> verdicts_ = 0;
  ControlServer::Options server_options_;
  std::unique_ptr<ControlServer> server_;
};

TEST(ControlClient, OrderlyEnd) {
  Fleet fleet(3);
  auto ranks = fleet.all_join();
  for (Rank& rank : ranks) EXPECT_TRUE(rank.client->goodbye());
  EXPECT_FALSE(fleet.server().finish(kPatience));
  ranks.clear();
  fleet.destroy_server();
  EXPECT_EQ(fleet.verdicts(), 0);
}

TEST(ControlClient, NoAbortAfterGoodbye) {
  Fleet fleet(2);
  Rank rank = fleet.join(1);
  EXPECT_TRUE(rank.client->goodbye());
  fleet.destroy_server();
  rank.client.reset();
  EXPECT_EQ(rank.notices->count(), 0u);
}

TEST(ControlClient, ActivityAndStatusArrive) {
  Fleet fleet(1, milliseconds(400));
  Rank rank = fleet.join(0);
  rank.client->set_status({640, 10, 20, 4096});
  rank.client->set_activity(ActivityKind::kSending, 417, 1);
  fleet.wait_for_step(0, 417);
  const RankStatus status = fleet.server().status()[0];
  EXPECT_EQ(status.host, "node-a");
  EXPECT_EQ(status.activity.kind, ActivityKind::kSending);
  EXPECT_EQ(status.activity.peer, 1u);
  EXPECT_EQ(status.stage.rows_done, 640u);
  EXPECT_EQ(status.stage.kv_bytes, 4096u);
  EXPECT_TRUE(rank.client->goodbye());
}

TEST(ControlClient, HeartbeatsKeepAnIdleFleetAlive) {
  Fleet fleet(2, milliseconds(300));
  auto ranks = fleet.all_join();
  std::this_thread::sleep_for(milliseconds(900));  // three deadlines
  for (Rank& rank : ranks) {
    EXPECT_TRUE(rank.client->goodbye());
    EXPECT_EQ(rank.notices->count(), 0u);
  }
  EXPECT_FALSE(fleet.server().finish(kPatience));
}

TEST(ControlClient, DeathOfOneEndsTheOthersWithTheVerdict) {
  Fleet fleet(3, milliseconds(800));
  auto ranks = fleet.all_join();
  ranks[1].client->set_activity(ActivityKind::kComputing, 12);
  fleet.wait_for_step(1, 12);
  ranks[1].client.reset();
  for (int rank : {0, 2}) {
    const AbortNotice notice = ranks[static_cast<std::size_t>(rank)].notices->wait();
    EXPECT_EQ(notice.code, ExitCode::kRankLost);
    EXPECT_THAT(notice.verdict, MatchesRegex("rank 1 on node-b died \\(.*\\) while computing step "
                                             "12, .* s after its last heartbeat"));
    EXPECT_FALSE(notice.coordinator_lost);
    EXPECT_FALSE(notice.report_here);
  }
  EXPECT_EQ(fleet.server().finish(kPatience).value().rank, 1);
  for (int rank : {0, 2}) EXPECT_EQ(ranks[static_cast<std::size_t>(rank)].notices->count(), 1u);
  EXPECT_EQ(fleet.verdicts(), 1);
}

TEST(ControlClient, WhatIsAnnouncedIsKnownBeforeTheNextHeartbeat) {
  Fleet fleet(2, milliseconds(60'000));  // a heartbeat every 7.5 s
  auto ranks = fleet.all_join();
  ranks[1].client->announce(ActivityKind::kLoading);
  const auto by = std::chrono::steady_clock::now() + milliseconds(5'000);
  const auto known = [&] {
    return fleet.server().status().at(1).activity.kind == ActivityKind::kLoading;
  };
  while (!known() && std::chrono::steady_clock::now() < by) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_TRUE(known());
}

// Only the rank that was told to reports, and that only when all have arrived.
TEST(ControlClient, EndOfTheCoordinatorBeforeAllHaveArrivedIsNobodysToReport) {
  Fleet fleet(3, milliseconds(800));
  std::vector<Rank> ranks;
  for (int rank : {1, 2}) ranks.push_back(fleet.join(rank));
  std::this_thread::sleep_for(milliseconds(250));  // two beats
  fleet.destroy_server();
  for (Rank& rank : ranks) {
    EXPECT_TRUE(rank.notices->wait().coordinator_lost);
    EXPECT_FALSE(rank.notices->wait().report_here);
  }
}

TEST(ControlClient, FailureReturnsWithTheVerdict) {
  Fleet fleet(2);
  auto ranks = fleet.all_join();
  EXPECT_TRUE(ranks[1].client->fail(ExitCode::kUsage, "model.gguf: truncated", kPatience));
  EXPECT_EQ(ranks[1].notices->count(), 1u) << "on_abort comes before fail returns";
  EXPECT_EQ(fleet.verdicts(), 1);
  for (Rank& rank : ranks) {
    EXPECT_EQ(rank.notices->wait().code, ExitCode::kUsage);
    EXPECT_EQ(rank.notices->wait().verdict, "rank 1 on node-b failed: model.gguf: truncated");
    EXPECT_FALSE(rank.client->goodbye());
    EXPECT_TRUE(rank.client->fail(ExitCode::kOther, "again"));
  }
}

TEST(ControlClient, RealFailureWinsOverTheComplaintsOfWhoWaits) {
  Fleet fleet(3);
  auto ranks = fleet.all_join();
  std::vector<std::thread> threads;
  for (int i : {0, 1, 2}) {
    threads.emplace_back([&, i] {
      ControlClient& client = *ranks[static_cast<std::size_t>(i)].client;
      if (i == 1) {
        client.fail(ExitCode::kOther, "out of memory", kPatience);
      } else {
        client.fail(ExitCode::kRankLost, "no answer from rank 1", kPatience);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (Rank& rank : ranks) {
    EXPECT_EQ(rank.notices->wait().verdict, "rank 1 on node-b failed: out of memory");
  }
}

TEST(ControlClient, FailureMessageOfAnyKindArrives) {
  Fleet fleet(1);
  Rank rank = fleet.join(0);
  const std::string huge(3 << 20, 'x');
  EXPECT_TRUE(rank.client->fail(ExitCode::kOther, "line\none " + huge, kPatience));
  EXPECT_THAT(rank.notices->wait().verdict, StartsWith("rank 0 on node-a failed: line one xxx"));
  EXPECT_LT(rank.notices->wait().verdict.size(), 4000u);
}

TEST(ControlClient, EndOfTheCoordinatorEndsEveryRankAndOneReports) {
  Fleet fleet(3, milliseconds(800));
  std::vector<Rank> ranks;
  for (int rank : {1, 2, 0}) ranks.push_back(fleet.join(rank));
  ranks[0].client->set_activity(ActivityKind::kComputing, 9);
  ranks[1].client->set_activity(ActivityKind::kReceiving, 8, 1);
  fleet.wait_for_step(1, 9);
  fleet.wait_for_step(2, 8);
  std::this_thread::sleep_for(milliseconds(250));  // two beats: who reports has got about
  fleet.destroy_server();
  const AbortNotice first = ranks[0].notices->wait();
  EXPECT_EQ(first.code, ExitCode::kRankLost);
  EXPECT_THAT(first.verdict,
              AllOf(StartsWith("rank 0 on node-a, which hosts the coordinator, died ("),
                    HasSubstr("s after its last heartbeat; rank 1 was computing step 9")));
  EXPECT_TRUE(first.coordinator_lost);
  EXPECT_TRUE(first.report_here);
  const AbortNotice second = ranks[1].notices->wait();
  EXPECT_TRUE(second.coordinator_lost);
  EXPECT_FALSE(second.report_here);
  EXPECT_TRUE(ranks[1].client->fail(ExitCode::kRankLost, "x")) << "nobody left to tell";
}

// A coordinator that is stopped: its sockets stay open and say nothing.
TEST(ControlClient, SilenceOfTheCoordinatorIsNoticed) {
  std::atomic<bool> resume = false;
  auto options = ControlServer::Options{};
  options.ranks = 2;
  options.token = make_launch_token();
  options.host = "node-a";
  options.bind = "127.0.0.1";
  options.deadlines.peer = milliseconds(300);
  options.settle = {milliseconds(10), milliseconds(10)};
  options.on_verdict = [&](const Verdict&) {
    while (!resume) std::this_thread::sleep_for(milliseconds(5));
  };
  ControlServer server(options);
  ControlClient::Options o;
  o.addresses = server.addresses();
  o.token = options.token;
  o.rank = 1;
  o.host = "node-b";
  Rank rank = Fleet::join(o);
  server.interrupt(ExitCode::kTerminated, "x");  // its thread hangs in on_verdict now
  const AbortNotice notice = rank.notices->wait();
  resume = true;
  EXPECT_THAT(notice.verdict,
              MatchesRegex("rank 0 on node-a, which hosts the coordinator, was lost .* s ago: no "
                           "heartbeat; rank 1 was starting"));
  EXPECT_TRUE(notice.coordinator_lost);
}

TEST(ControlClient, GoodbyeThatNobodyAnswersGivesUpAndCallsNothingLater) {
  std::atomic<bool> resume = false;
  auto options = ControlServer::Options{};
  options.ranks = 1;
  options.token = make_launch_token();
  options.bind = "127.0.0.1";
  options.settle = {milliseconds(0), milliseconds(0)};
  std::atomic<bool> hangs = false;
  options.on_verdict = [&](const Verdict&) {
    hangs = true;
    while (!resume) std::this_thread::sleep_for(milliseconds(5));
  };
  ControlServer server(options);
  ControlClient::Options o;
  o.addresses = server.addresses();
  o.token = options.token;
  Rank rank = Fleet::join(o);
  server.interrupt(ExitCode::kTerminated, "x");
  while (!hangs) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_FALSE(rank.client->goodbye(milliseconds(50)));
  EXPECT_FALSE(rank.client->goodbye(milliseconds(50))) << "twice does no harm";
  resume = true;
  server.finish(kPatience);
  rank.client.reset();
  EXPECT_EQ(rank.notices->count(), 0u);
}

TEST(ControlClient, DeadAddressesAreSkipped) {
  Fleet fleet(1);
  auto options = fleet.client_options(0);
  options.addresses.insert(options.addresses.begin(), {"127.0.0.1:1", "[::1]:1"});
  Rank rank = Fleet::join(options);
  EXPECT_TRUE(rank.client->goodbye());
}

TEST(ControlClient, SilentAddressIsSkippedAfterItsTimeout) {
  Fleet fleet(1);
  auto options = fleet.client_options(0);
  options.connect_timeout = milliseconds(100);
  options.addresses.insert(options.addresses.begin(), "192.0.2.254:9");  // TEST-NET-1
  Rank rank = Fleet::join(options);
  EXPECT_TRUE(rank.client->goodbye());
}

TEST(ControlClient, UnreachableCoordinatorIsAnErrorThatListsWhatWasTried) {
  Fleet fleet(1);
  auto options = fleet.client_options(0);
  options.addresses = {"127.0.0.1:1"};
  options.start_deadline = milliseconds(200);
  EXPECT_THAT([&] { ControlClient client(options); },
              ThrowsMessage<PeerError>(AllOf(
                  StartsWith("rank 0 on node-a could not join the coordinator within 0.2 s: "),
                  HasSubstr("127.0.0.1:1 (Connection refused)"))));
  options.addresses.clear();
  EXPECT_THAT([&] { ControlClient client(options); },
              ThrowsMessage<PeerError>(HasSubstr("no address is known")));
}

TEST(ControlClient, RefusalEndsTheTryAtOnce) {
  Fleet fleet(1);
  auto options = fleet.client_options(0);
  options.token = "wrong";
  EXPECT_THAT([&] { ControlClient client(options); },
              ThrowsMessage<PeerError>(HasSubstr("(refused: wrong launch token)")));
  options = fleet.client_options(0);
  options.rank = 7;
  EXPECT_THAT([&] { ControlClient client(options); },
              ThrowsMessage<PeerError>(HasSubstr("(refused: rank 7 of 1 ranks)")));
}

TEST(ControlClient, SecondClientOfARankIsRefused) {
  Fleet fleet(1);
  Rank first = fleet.join(0);
  EXPECT_THAT([&] { fleet.join(0); },
              ThrowsMessage<PeerError>(HasSubstr("refused: rank 0 is taken by process")));
  EXPECT_TRUE(first.client->goodbye());
}

TEST(ControlClient, MalformedAddressIsAConfigError) {
  Fleet fleet(1);
  for (const char* address : {"", "node-a", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:0",
                              "127.0.0.1:70000", "node-a:4000", "[::1:4000"}) {
    auto options = fleet.client_options(0);
    options.addresses = {address};
    EXPECT_THAT([&] { ControlClient client(options); },
                ThrowsMessage<ConfigError>(HasSubstr(fmt::format("\"{}\"", address))));
  }
}

TEST(ControlClient, HotLoopFromItsOwnThread) {
  Fleet fleet(1, milliseconds(100));
  Rank rank = fleet.join(0);
  std::atomic<bool> stop = false;
  std::thread stage([&] {
    for (std::uint64_t step = 0; !stop; ++step) {
      rank.client->set_activity(ActivityKind::kComputing, step);
      rank.client->set_status({step, step, step, step});
    }
  });
  for (int i = 0; i < 50; ++i) {
    const StageStatus seen = fleet.server().status()[0].stage;
    EXPECT_EQ(seen.rows_done, seen.kv_bytes);
    std::this_thread::sleep_for(milliseconds(2));
  }
  stop = true;
  stage.join();
  EXPECT_TRUE(rank.client->goodbye());
}

}  // namespace
}  // namespace varve
