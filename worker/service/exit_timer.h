// The last resort: ends the process if the main thread does not leave in time, for instance because
// it sits in a long kernel or in a library that does not return.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "common/error.h"

namespace varve {

class ExitTimer {
 public:
  static constexpr std::chrono::milliseconds kGrace{500};

  /// `leave` is called from the timer's thread; it is another one in tests only.
  explicit ExitTimer(std::function<void(ExitCode)> leave = leave_process);
  /// The main thread left in time: nothing happens any more.
  ~ExitTimer();
  ExitTimer(const ExitTimer&) = delete;
  ExitTimer& operator=(const ExitTimer&) = delete;

  /// Ends the process with `code` after `grace` unless this object is gone by then. Of several
  /// calls the one that would end it first counts. Any thread.
  void end_process_after(std::chrono::milliseconds grace, ExitCode code);

  /// Flushes the C streams, a tenth of a second at most (another thread may hold one).
  static void flush_streams();
  /// Flushes them and _Exits.
  [[noreturn]] static void leave_process(ExitCode code);

 private:
  using Clock = std::chrono::steady_clock;
  struct Due {
    Clock::time_point at;
    ExitCode code;
  };
  void run();

  std::function<void(ExitCode)> leave_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Due> due_;
  bool cancelled_ = false;
  std::thread thread_;  // started at once: when it is needed, starting one may fail
};

}  // namespace varve
