#include "coordinator/cli/process_end.h"

#include <csignal>
#include <cstdio>

namespace varve {
namespace {

// Long enough for the control plane to find out whether a signal is the echo of a lost rank, short
// enough to be gone before a launcher sends SIGKILL a second later.
constexpr std::chrono::milliseconds kSignalGrace{900};
constexpr std::chrono::milliseconds kWritten{200};     // the verdict is out
constexpr std::chrono::milliseconds kUnwritten{2000};  // somebody else is about to write it

}  // namespace

ProcessEnd::ProcessEnd(std::function<void(ExitCode)> leave)
    : timer_(std::move(leave)),
      signals_([this](int signal, int count) { on_signal(signal, count); }) {}

void ProcessEnd::set_server(ControlServer* server) {
  const std::lock_guard lock(mutex_);
  server_ = server;
}

void ProcessEnd::set_client(ControlClient* client) {
  const std::lock_guard lock(mutex_);
  client_ = client;
}

void ProcessEnd::on_signal(int signal, int count) {
  const bool interrupt = signal == SIGINT;
  const ExitCode code = interrupt ? ExitCode::kInterrupted : ExitCode::kTerminated;
  const std::string text = interrupt ? "interrupted by SIGINT" : "terminated by SIGTERM";
  if (interrupt && count > 1) timer_.end_process_after(std::chrono::milliseconds(0), code);
  timer_.end_process_after(kSignalGrace, code);
  ControlClient* client = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (server_ != nullptr) {
      server_->interrupt(code, text);
      return;
    }
    client = client_;
  }
  if (client != nullptr) {
    client->fail(code, text, kSignalGrace);
  } else {
    timer_.end_process_after(std::chrono::milliseconds(0), code);
  }
}

void ProcessEnd::on_abort(const AbortNotice& notice, Communicator& comm) {
  {
    const std::lock_guard lock(mutex_);
    if (!notice_) notice_ = notice;
  }
  // Rank 0 writes the verdict itself; where it is lost, the lowest rank that is left speaks for it.
  if (notice.coordinator_lost && notice.report_here) {
    std::fprintf(stderr, "varve: %s (exit code %d)\n", notice.verdict.c_str(),
                 static_cast<int>(notice.code));
  }
  comm.cancel(notice.verdict);
  timer_.end_process_after(time_to_write(notice) + ExitTimer::kGrace, notice.code);
}

std::chrono::milliseconds ProcessEnd::time_to_write(const AbortNotice& notice) {
  return notice.coordinator_lost && !notice.report_here ? kUnwritten : kWritten;
}

std::optional<AbortNotice> ProcessEnd::notice() const {
  const std::lock_guard lock(mutex_);
  return notice_;
}

}  // namespace varve
