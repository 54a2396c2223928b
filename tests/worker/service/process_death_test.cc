// Ranks as processes: killed, stopped and resumed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <future>
#include <thread>

#include "coordinator/fleet/control_server.h"
#include "worker/service/control_client.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr milliseconds kPeerDeadline{1000};
constexpr milliseconds kPatience{20'000};
constexpr const char* kToken = "0123456789abcdef0123456789abcdef";

// A child that runs `body` as soon as it is told the port, and returns what that returns. Forked
// while this process has no other thread.
class Process {
 public:
  explicit Process(const std::function<int(std::uint16_t port)>& body) {
    std::array<int, 2> pipe_ends{};
    if (pipe(pipe_ends.data()) != 0) throw std::runtime_error("pipe");
    pid_ = fork();
    if (pid_ == 0) {
      std::uint16_t port = 0;
      const bool told = read(pipe_ends[0], &port, sizeof port) == sizeof port;
      _exit(told ? body(port) : 99);
    }
    ::close(pipe_ends[0]);
    tell_ = pipe_ends[1];
  }
  ~Process() {
    if (pid_ > 0) {
      signal(SIGKILL);
      wait();
    }
    ::close(tell_);
  }
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), tell_(std::exchange(other.tell_, -1)) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void tell(std::uint16_t port) const {
    EXPECT_EQ(write(tell_, &port, sizeof port), static_cast<ssize_t>(sizeof port));
  }
  void signal(int number) const { kill(pid_, number); }
  int wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int tell_ = -1;
};

constexpr int kReports = 50;

// Computes step 7 for ever; ends with the code that it is told, plus kReports if it would write a
// verdict of its own.
int run_rank(int rank, std::uint16_t port) {
  std::promise<int> told;
  ControlClient::Options options;
  options.addresses = {fmt::format("127.0.0.1:{}", port)};
  options.token = kToken;
  options.rank = rank;
  options.host = fmt::format("node-{}", rank);
  options.on_abort = [&](const AbortNotice& notice) {
    told.set_value(static_cast<int>(notice.code) + (notice.report_here ? kReports : 0));
  };
  ControlClient client(options);
  client.set_activity(ActivityKind::kComputing, 7);
  auto code = told.get_future();
  return code.wait_for(kPatience) == std::future_status::ready ? code.get() : 98;
}

class ProcessDeath : public testing::Test {
 protected:
  ProcessDeath() {
    for (int rank = 0; rank < 3; ++rank) {
      ranks_.emplace_back([rank](std::uint16_t port) { return run_rank(rank, port); });
    }
    ControlServer::Options options;
    options.ranks = 3;
    options.token = kToken;
    options.bind = "127.0.0.1";
    options.deadlines = {kPatience, kPeerDeadline, milliseconds(0)};
    server_ = std::make_unique<ControlServer>(options);
    for (const Process& rank : ranks_) rank.tell(server_->port());
  }
  bool all_compute() const {
    const auto by = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < by) {
      int computing = 0;
      for (const RankStatus& s : server_->status()) computing += s.activity.step == 7;
      if (computing == 3) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }

  std::vector<Process> ranks_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ProcessDeath, KilledRankIsNamedAndTheOthersEnd) {
  ASSERT_TRUE(all_compute());
  ranks_[1].signal(SIGKILL);
  EXPECT_THAT(server_->finish(kPatience).value().text,
              MatchesRegex("rank 1 on node-1 died \\(connection (closed|reset)\\) while computing "
                           "step 7, .*"));
  EXPECT_EQ(ranks_[0].wait(), 5);
  EXPECT_EQ(ranks_[2].wait(), 5);
}

TEST_F(ProcessDeath, StoppedRankIsNamedAndEndsWhenItWakes) {
  ASSERT_TRUE(all_compute());
  ranks_[2].signal(SIGSTOP);
  EXPECT_THAT(server_->finish(kPatience).value().text,
              AllOf(StartsWith("rank 2 on node-2 was lost"),
                    HasSubstr("no heartbeat; it was computing step 7")));
  EXPECT_EQ(ranks_[0].wait(), 5);
  EXPECT_EQ(ranks_[1].wait(), 5);
  ranks_[2].signal(SIGCONT);
  EXPECT_EQ(ranks_[2].wait(), 5);
}

TEST_F(ProcessDeath, TheReporterThatWasStoppedHasNothingToReport) {
  ASSERT_TRUE(all_compute());
  ranks_[1].signal(SIGSTOP);
  EXPECT_EQ(server_->finish(kPatience).value().rank, 1);
  server_.reset();  // and with it the order to end, which a reset of the connection may discard
  ranks_[1].signal(SIGCONT);
  EXPECT_EQ(ranks_[1].wait(), 5);
}

TEST_F(ProcessDeath, TheReporterSpeaksForACoordinatorThatIsLost) {
  ASSERT_TRUE(all_compute());
  std::this_thread::sleep_for(kPeerDeadline / 2);  // who reports has got about
  server_.reset();
  EXPECT_EQ(ranks_[1].wait(), 5 + kReports);
  EXPECT_EQ(ranks_[2].wait(), 5);
}

TEST_F(ProcessDeath, BriefStopIsForgiven) {
  ASSERT_TRUE(all_compute());
  ranks_[0].signal(SIGSTOP);
  std::this_thread::sleep_for(kPeerDeadline / 4);
  ranks_[0].signal(SIGCONT);
  std::this_thread::sleep_for(kPeerDeadline);
  for (const RankStatus& s : server_->status()) EXPECT_EQ(s.state, RankState::kPresent);
}

}  // namespace
}  // namespace varve
