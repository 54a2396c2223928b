// SIGINT and SIGTERM as calls on a thread of their own, where locks may be taken and messages sent,
// instead of as interruptions of whatever ran.
//
// What the program does with them (the composition root does it, with the pieces named here):
//   - mpirun sends the survivors of a dead rank SIGTERM, and SIGKILL a second later.
//     So SIGTERM is often the echo of a failure and not the cause. Rank 0 hands it to
//     ControlServer::interrupt(kTerminated), which looks for a lost rank for 300 ms more (verdict
//     5) before it takes the signal for the reason (143). The other ranks hand it to
//     ControlClient::fail(kTerminated), which weighs less than any loss, and wait for the verdict.
//   - SIGINT: the same with kInterrupted (130).
//   - The second SIGINT leaves at once: ExitTimer::end_process_after(0, kInterrupted).
//   - Every rank starts an ExitTimer at its first signal, so that none outlives it by much.
#pragma once

#include <functional>
#include <memory>

namespace varve {

class SignalWatch {
 public:
  /// Blocks both signals in this thread, and so in every thread that it starts later: to be made
  /// first thing in main. `on_signal` gets the signal's number and how many of that kind have come,
  /// 1 for the first; it must not throw. Signals of one kind in quick succession may count as one.
  /// A process that is started while this exists inherits the blocked signals.
  explicit SignalWatch(std::function<void(int signal, int count)> on_signal);
  /// Restores the mask of the calling thread, which must be the one that made it.
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
