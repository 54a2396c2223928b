#include "common/signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "common/error.h"

namespace varve {
namespace {

sigset_t watched() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd < 0) {
      throw Error(ExitCode::kOther,
                  fmt::format("cannot watch for signals: {}", std::strerror(errno)));
    }
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

class BlockedSignals {
 public:
  BlockedSignals() {
    const sigset_t set = watched();
    pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

int open_signals() {
  const sigset_t set = watched();
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

class SignalWatch::Impl {
 public:
  explicit Impl(std::function<void(int, int)> on_signal)
      : on_signal_(std::move(on_signal)),
        signals_(open_signals()),
        stop_(eventfd(0, EFD_CLOEXEC)),
        thread_([this] { run(); }) {}
  ~Impl() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }

 private:
  void run() {
    std::array<pollfd, 2> waiting{pollfd{signals_.get(), POLLIN, 0},
                                  pollfd{stop_.get(), POLLIN, 0}};
    std::map<int, int> counts;
    while (waiting[1].revents == 0) {
      if (poll(waiting.data(), waiting.size(), -1) < 0) continue;  // interrupted
      signalfd_siginfo info{};
      while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        const auto number = static_cast<int>(info.ssi_signo);
        on_signal_(number, ++counts[number]);
      }
    }
  }

  std::function<void(int, int)> on_signal_;
  BlockedSignals blocked_;  // until the thread is gone
  Descriptor signals_;
  Descriptor stop_;
  std::thread thread_;
};

SignalWatch::SignalWatch(std::function<void(int, int)> on_signal)
    : impl_(std::make_unique<Impl>(std::move(on_signal))) {}
SignalWatch::~SignalWatch() = default;

}  // namespace varve
