// How a process of the program comes to an end: signals, verdicts and the last resort, in one
// place.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "common/error.h"
#include "common/signals.h"
#include "coordinator/fleet/control_server.h"
#include "worker/comm/communicator.h"
#include "worker/service/control_client.h"
#include "worker/service/exit_timer.h"

namespace varve {

/// Made first thing in a run, because it blocks the signals for every thread that comes later.
class ProcessEnd {
 public:
  /// `leave` ends the process when the main thread does not; from a thread of its own.
  explicit ProcessEnd(std::function<void(ExitCode)> leave = ExitTimer::leave_process);

  /// Who hears of a signal: the coordinator if this process hosts it, once every rank has arrived,
  /// else this rank's client. While nobody does, a signal ends the process without a word: a
  /// launcher that ends the run may have sent it, and what for is not to be known here. Cleared
  /// before the object goes (nullptr).
  void set_server(ControlServer* server);
  void set_client(ControlClient* client);

  /// A client's on_abort: remembers the notice, ends the waits of `comm`, and starts the timer.
  void on_abort(const AbortNotice& notice, Communicator& comm);
  /// What a verdict has said, if there was one.
  std::optional<AbortNotice> notice() const;
  /// How long this process has to stay after a verdict so that whoever writes it can do so: it ends
  /// the others.
  static std::chrono::milliseconds time_to_write(const AbortNotice& notice);

 private:
  void on_signal(int signal, int count);

  ExitTimer timer_;
  mutable std::mutex mutex_;
  ControlServer* server_ = nullptr;
  ControlClient* client_ = nullptr;
  std::optional<AbortNotice> notice_;
  SignalWatch signals_;  // last: its thread uses all of the above
};

}  // namespace varve
