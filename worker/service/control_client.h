// A rank's end of the control plane (common/wire/control.h): says what the rank does, hears when
// the run is over. Rank 0 has one too, to the coordinator in its own process, so that a stage 0
// that hangs is noticed like any other.
//
// How a rank ends:
//   well      goodbye(), after the last message of the pipeline
//   badly     fail(code, message), then wait for nothing more: it returns when the verdict is out
//   by order  on_abort: cancel the communicator's waits, start an ExitTimer, leave with that code
// A client that is destroyed without any of these looks like a rank that died.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/wire/control.h"

namespace varve {

struct AbortNotice {
  ExitCode code = ExitCode::kOther;
  std::string verdict;  // one line
  /// The coordinator itself was lost, so nobody has written the verdict.
  bool coordinator_lost = false;
  /// This rank is the one to write it (the lowest that is left). No rank is before all have
  /// arrived, nor one that was itself away for so long that its view of the others is stale.
  bool report_here = false;
};

class ControlClient {
 public:
  struct Options {
    std::vector<std::string> addresses;  // "host:port", "[host]:port": ControlServer::addresses()
    std::string token;
    int rank = 0;
    std::string host;                                  // of this rank
    std::chrono::milliseconds start_deadline{60'000};  // to be welcomed
    std::chrono::milliseconds connect_timeout{1000};   // for one address, in the first round

    /// Called once at most, from the client's thread. Not after goodbye() or the destructor
    /// returned. Must neither throw nor call fail() or goodbye().
    std::function<void(const AbortNotice&)> on_abort;
  };

  /// Tries the addresses in order, again and again, until the coordinator welcomes this rank.
  /// PeerError if it refuses or the start deadline passes, with each address and what became of it.
  explicit ControlClient(Options options);
  ~ControlClient();
  ControlClient(const ControlClient&) = delete;
  ControlClient& operator=(const ControlClient&) = delete;

  /// What this rank does from now on. Made for the hot loop: no lock, no system call but the clock.
  /// Each call starts the step deadline anew, so a long step may call it once a layer. set_activity
  /// and set_status may each be called by one thread at a time.
  void set_activity(ActivityKind kind, std::uint64_t step = kNoStep, std::uint32_t peer = kNoRank);
  void set_status(const StageStatus& status);
  /// set_activity, and tells the coordinator at once: for the few changes that a verdict should
  /// know of however soon the rank is lost.
  void announce(ActivityKind kind);

  /// Tells the coordinator why this rank ends and waits for the verdict that follows (on_abort), or
  /// for the end of the connection. True if one came within `limit`. Only the first call tells.
  bool fail(ExitCode code, const std::string& message,
            std::chrono::milliseconds limit = std::chrono::milliseconds(5000));
  /// The orderly end. True if the coordinator took note within `limit`; false also if the run was
  /// aborted.
  bool goodbye(std::chrono::milliseconds limit = std::chrono::milliseconds(5000));

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
