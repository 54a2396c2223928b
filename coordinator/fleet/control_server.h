// The coordinator's end of the control plane (common/wire/control.h): takes every rank's
// connection, watches over them (fleet_watch.h), and, when one is lost, says so first and ends the
// others after.
//
// Whoever connects is a stranger until its Hello shows the launch token. Strangers are few (a bound
// on how many, the oldest goes first), brief (a deadline for the Hello) and small (4 KiB).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/fleet/fleet_watch.h"

namespace varve {

class ControlServer {
 public:
  struct Options {
    int ranks = 1;
    std::string token;       // make_launch_token()
    std::string host;        // of this process, for messages
    std::string bind;        // IP address or interface name; empty: every interface
    std::uint16_t port = 0;  // 0: any free one
    FleetDeadlines deadlines;
    SettleTimes settle;
    std::chrono::milliseconds hello_deadline{3000};
    std::size_t max_strangers = 0;  // 0: two for each rank and 16 more

    /// Called once at most, before any other rank is told to end: the place to write the verdict
    /// down (not for people if it is `said`). May call status(). From the server's thread, like
    /// `log`.
    std::function<void(const Verdict&)> on_verdict;
    /// One line about a connection that was refused, or about an on_verdict that threw.
    std::function<void(const std::string&)> log;
  };

  /// Listens and starts its thread; the start deadline runs from here. ConfigError if it cannot
  /// listen there.
  explicit ControlServer(Options options);
  /// Waits (a second at most) until a verdict that was given has reached the others. Ranks that
  /// have not said goodbye see the connection end, and take rank 0 for lost.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// Where the ranks can reach it, "host:port" or "[host]:port", the likeliest first, loopback
  /// last.
  std::vector<std::string> addresses() const;
  std::uint16_t port() const;

  /// All ranks by number. Any thread.
  std::vector<RankStatus> status() const;
  /// Waits until every rank has arrived. False if there is a verdict instead, at the start deadline
  /// at the latest.
  bool wait_for_ranks();
  /// This process got a signal: kTerminated or kInterrupted and for example "terminated by
  /// SIGTERM". It becomes the verdict unless a lost rank turns up within SettleTimes::signal. Any
  /// thread, any number of times.
  void interrupt(ExitCode code, const std::string& text);
  /// The orderly end: waits until every rank has said goodbye, `limit` at most; who has not by then
  /// is the verdict. Nothing if all did; else the verdict, which by then has been called back and
  /// sent. Returns within `limit` + the settle times + 2 s.
  std::optional<Verdict> finish(std::chrono::milliseconds limit);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
