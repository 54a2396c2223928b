#include "coordinator/cli/supervisor.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "common/error.h"

namespace varve {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kTick{50};

enum class Phase : int { kStarting, kWatched, kLeaving };

// Signals of a launcher go to the whole process group, so the rank gets its own. Stops stay as they
// are: who stops the group stops the parent too.
sigset_t all_but_stops() {
  sigset_t set;
  sigfillset(&set);
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU}) sigdelset(&set, signal);
  return set;
}

// The next blocked signal, or 0 after `limit`; without a limit it waits for one.
int next_signal(std::optional<milliseconds> limit) {
  const sigset_t set = all_but_stops();
  if (!limit) return std::max(0, sigwaitinfo(&set, nullptr));
  const timespec time{limit->count() / 1000, (limit->count() % 1000) * 1'000'000};
  return std::max(0, sigtimedwait(&set, nullptr, &time));
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal)
                         : fmt::format("signal {} (SIG{})", signal, name);
}

bool is_crash(int signal) {
  constexpr std::array kCrashes{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
  return std::find(kCrashes.begin(), kCrashes.end(), signal) != kCrashes.end();
}

bool asks_to_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

void write_to_stderr(const std::string& line) {
  std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace

struct Supervisor::Shared {
  std::atomic<Phase> phase{Phase::kStarting};
  static_assert(std::atomic<Phase>::is_always_lock_free);
};

// The parent's life. All signals but stops are blocked in it.
class Supervisor::Parent {
 public:
  Parent(const Options& options, const Shared& shared, pid_t child)
      : options_(options), shared_(shared), child_(child) {}

  int wait() {
    std::optional<int> code;
    while (!code) {
      take_signal(next_signal(unwatched_stop() ? std::optional(kTick) : std::nullopt));
      code = look();
    }
    return *code;
  }

 private:
  bool unwatched_stop() const { return stopped_by_ != 0 && phase() != Phase::kWatched; }
  Phase phase() const { return shared_.phase; }

  void take_signal(int signal) {
    if (signal == SIGTERM) told_to_end_ = true;
    // Sent to the group, the rank has it already and does not mind; sent to this process alone, it
    // is meant for the rank. Not SIGINT: two of them mean hurry.
    if (signal == SIGTERM && !reaped_) kill(child_, SIGTERM);
    // Ticks and not the time: this process may have been stopped too.
    if (signal == 0 && unwatched_stop()) stopped_for_ += kTick;
    if (stopped_for_ >= options_.stop_limit && !std::exchange(gave_up_, true)) {
      kill(child_, SIGKILL);
    }
  }

  // The exit code, if the child has ended.
  std::optional<int> look() {
    int status = 0;
    while (waitpid(child_, &status, WNOHANG | WUNTRACED | WCONTINUED) == child_) {
      // Of a brief continuation between two stops only the second stop is heard.
      if (WIFSTOPPED(status) || WIFCONTINUED(status)) stopped_for_ = milliseconds(0);
      if (WIFSTOPPED(status)) stopped_by_ = WSTOPSIG(status);
      if (WIFCONTINUED(status)) stopped_by_ = 0;
      reaped_ = WIFEXITED(status) || WIFSIGNALED(status);
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      if (WIFSIGNALED(status)) return ended_by(WTERMSIG(status), WCOREDUMP(status));
    }
    return std::nullopt;
  }

  int ended_by(int signal, bool core) {
    if (asks_to_end(signal)) return 128 + signal;
    const std::string how = fmt::format("{} was ended by {}", options_.name, signal_name(signal));
    // The verdict cannot name the signal of a crash, which whoever mends it wants to know.
    if (is_crash(signal)) say(fmt::format("varve: {}{}", how, core ? ", core dumped" : ""));
    if (!somebody_ends_the_run()) {
      say(fmt::format("varve: {}{} (exit code {})", gave_up_ ? stopped_text() : how, when(),
                      static_cast<int>(ExitCode::kRankLost)));
    }
    return static_cast<int>(ExitCode::kRankLost);
  }

  // A launcher that ends a run sends SIGCONT and SIGTERM first.
  bool somebody_ends_the_run() {
    const Clock::time_point by = Clock::now() + verdict_limit();
    while (!told_to_end_ && Clock::now() < by) {
      const int signal = next_signal(
          std::max(milliseconds(1), std::chrono::duration_cast<milliseconds>(by - Clock::now())));
      told_to_end_ = signal == SIGCONT || signal == SIGTERM;
    }
    return told_to_end_;
  }

  milliseconds verdict_limit() const {
    switch (phase()) {
      case Phase::kStarting:
        return options_.start_verdict_limit;
      case Phase::kLeaving:
        return options_.end_verdict_limit;
      case Phase::kWatched:
        break;
    }
    return options_.verdict_limit;
  }

  std::string stopped_text() const {
    return fmt::format("{} was stopped by {} for {:.1f} s", options_.name, signal_name(stopped_by_),
                       std::chrono::duration<double>(stopped_for_).count());
  }
  std::string when() const {
    switch (phase()) {
      case Phase::kStarting:
        return " before it joined the run";
      case Phase::kLeaving:
        return " at the end of its run";
      case Phase::kWatched:
        break;
    }
    return "";
  }
  void say(const std::string& line) const { options_.say(line); }

  const Options& options_;
  const Shared& shared_;
  const pid_t child_;
  int stopped_by_ = 0;  // a signal while the child is stopped
  milliseconds stopped_for_{0};
  bool gave_up_ = false;
  bool reaped_ = false;
  bool told_to_end_ = false;
};

Supervisor::Supervisor(Options options) : options_(std::move(options)) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error(ExitCode::kOther,
                fmt::format("cannot share memory with a rank's process: {}", std::strerror(errno)));
  }
  shared_ = new (memory) Shared;
  if (!options_.say) options_.say = write_to_stderr;
}

Supervisor::~Supervisor() {
  munmap(shared_, sizeof(Shared));
}

std::optional<int> Supervisor::run() {
  // Blocked from before the fork: a child that ends at once must not be missed.
  const sigset_t blocked = all_but_stops();
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  std::signal(SIGCHLD, SIG_DFL);  // a launcher may leave it ignored, and then there is no status
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    throw Error(ExitCode::kOther,
                fmt::format("cannot start a rank's process: {}", std::strerror(errno)));
  }
  if (child > 0) return Parent(options_, *shared_, child).wait();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(static_cast<int>(ExitCode::kRankLost));  // it ended before that
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return std::nullopt;
}

void Supervisor::set_watched() {
  shared_->phase = Phase::kWatched;
}
void Supervisor::set_leaving() {
  shared_->phase = Phase::kLeaving;
}

}  // namespace varve
