// Under a launcher each rank is the child of a small process that the launcher started: this one.
// A launcher returns 137 when its own child is killed, and notices no child that is stopped. This
// parent turns a rank that was ended by a signal into exit code 5, and ends a rank that is stopped
// while nobody else watches over it (docs/mpi-failures.md).
//
// Who says what happened: the control plane, while it watches over the rank. It knows more (what
// the rank was doing). The parent's return is what makes the launcher end the other ranks, so it
// gives them time to write the verdict first, and speaks only if the launcher shows no sign by then
// that somebody has ended the run.
//
// Not a watchdog: a rank that hangs is the control plane's business, or of the limits at start and
// end. Debuggers: attach to the child.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace varve {

class Supervisor {
 public:
  struct Options {
    std::string name;  // of the rank, in messages: "rank 2 on node-b"
    /// A rank that nobody else watches over may be stopped this long.
    std::chrono::milliseconds stop_limit{1500};
    /// Until somebody must have spoken about the end of a rank that is watched, is not yet, or is
    /// no more.
    std::chrono::milliseconds verdict_limit{1500};
    std::chrono::milliseconds start_verdict_limit{500};
    std::chrono::milliseconds end_verdict_limit{1000};
    /// Gets one line without a newline, in the parent. Empty: standard error.
    std::function<void(const std::string&)> say;
  };

  /// Error if there is no memory to share with the child.
  explicit Supervisor(Options options);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Forks, so no other thread may run yet. In the child: nothing, and it goes on as the rank,
  /// which is killed if the parent ends. In the parent: the rank's exit code, once it has ended;
  /// kRankLost if a signal ended it, or 128 + n for SIGHUP, SIGINT and SIGTERM, which ask to end.
  std::optional<int> run();

  /// In the child: from here on the control plane notices when this rank is stopped.
  void set_watched();
  /// In the child: no more.
  void set_leaving();

 private:
  class Parent;
  struct Shared;

  Options options_;
  Shared* shared_;  // in memory that parent and child share; unmapped by the destructor
};

}  // namespace varve
