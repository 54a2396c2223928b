#include "worker/service/exit_timer.h"

#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <utility>

namespace varve {
namespace {

// A thread that takes no signals: it may be started before those are blocked that somebody handles
// elsewhere, and one thread that does not block a signal is enough to end the process.
template <class Body>
std::thread start_without_signals(Body body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

ExitTimer::ExitTimer(std::function<void(ExitCode)> leave)
    : leave_(std::move(leave)), thread_(start_without_signals([this] { run(); })) {}

ExitTimer::~ExitTimer() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ExitTimer::end_process_after(std::chrono::milliseconds grace, ExitCode code) {
  const Clock::time_point at = Clock::now() + grace;
  {
    const std::lock_guard lock(mutex_);
    if (!due_ || at < due_->at) due_ = Due{at, code};
  }
  changed_.notify_all();
}

void ExitTimer::run() {
  std::unique_lock lock(mutex_);
  while (!cancelled_) {
    if (!due_) {
      changed_.wait(lock);
    } else if (Clock::now() < due_->at) {
      const Clock::time_point at = due_->at;  // due_ may change while this waits
      changed_.wait_until(lock, at);
    } else {
      const ExitCode code = due_->code;
      lock.unlock();
      return leave_(code);
    }
  }
}

void ExitTimer::flush_streams() {
  auto flushed = std::make_shared<std::promise<void>>();
  auto done = flushed->get_future();
  std::thread([flushed] {
    std::cout.flush();
    std::clog.flush();
    std::fflush(nullptr);
    flushed->set_value();
  }).detach();
  done.wait_for(std::chrono::milliseconds(100));
}

void ExitTimer::leave_process(ExitCode code) {
  flush_streams();
  std::_Exit(static_cast<int>(code));
}

}  // namespace varve
