// Who is alive, what they do, and, when something goes wrong, which one cause to name. No sockets
// and no clock of its own: every call carries the time, so the rules are tested without waiting.
//
// One failure shows up in many places: the rank that waits for a dead one complains too, and the
// launcher ends the others. So what is reported is evidence first. After a short settle time the
// strongest piece wins, and among equals the earliest:
//   1. a rank that reports why it failed
//   2. a connection that ended without a goodbye, or no heartbeat for the peer deadline
//   3. no progress for the step deadline; not arrived, or not left, in time
//   4. a signal to rank 0, then a signal to another rank (a launcher sends SIGTERM to the
//   survivors)
//   5. a rank that fails for want of another one (exit code 5)
// 3 and 5 wait until every other rank has been heard from since, for if one of them is silent it is
// the cause.
//
// Above all: this process itself may have been stopped, for so long that the others have taken it
// for lost. What it then finds when it wakes (they have ended, a launcher ends the rest) is the
// echo of its own absence, which another rank has reported by then.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/wire/control.h"

namespace varve {

using ControlClock = std::chrono::steady_clock;
using ControlTime = ControlClock::time_point;

/// Why the run ends: one line, the rank it is about (-1: none), and the process's exit code.
struct Verdict {
  ExitCode code = ExitCode::kOther;
  int rank = -1;
  std::string host;   // empty if the rank never arrived
  std::string text;   // "rank 1 on node-b died (connection closed) while computing step 12, ..."
  bool said = false;  // by another rank, which took this one for lost
};

struct FleetDeadlines {
  std::chrono::milliseconds start{60'000};  // until every rank has arrived
  std::chrono::milliseconds peer{10'000};   // without a heartbeat
  std::chrono::milliseconds step{0};        // in one activity of one step; 0: no limit
};

/// How long evidence is gathered before the verdict, for the classes above.
struct SettleTimes {
  std::chrono::milliseconds cause{150};
  std::chrono::milliseconds signal{300};
};

enum class RankState : std::uint8_t { kAbsent, kPresent, kFailed, kLost, kLeft };
std::string_view rank_state_name(RankState state);

struct RankStatus {
  int rank = 0;
  RankState state = RankState::kAbsent;
  std::string host;
  std::uint64_t pid = 0;
  Activity activity;  // since_ms counts up to now
  StageStatus stage;
  std::chrono::milliseconds since_heartbeat{0};
};

class FleetWatch {
 public:
  /// `tick` is how often tick() will be called. If it is late by far, this process was stopped or
  /// starved, and what other ranks sent meanwhile is still unread: their silence is forgiven.
  FleetWatch(int ranks, FleetDeadlines deadlines, SettleTimes settle,
             std::chrono::milliseconds tick, ControlTime now);

  /// Why a rank that says hello cannot be taken; empty if it can.
  std::string objection(const Hello& hello) const;
  void arrive(const Hello& hello, ControlTime now);

  void heartbeat(int rank, const Heartbeat& beat, ControlTime now);
  void failure(int rank, const Failure& failure, ControlTime now);
  /// The connection ended: `how` as in "died (connection closed)". Evidence only if the rank had
  /// neither failed nor said goodbye.
  void connection_ended(int rank, const std::string& how, ControlTime now);
  void goodbye(int rank, ControlTime now);
  /// This process was told to end: kInterrupted or kTerminated, and by what.
  void interrupt(ExitCode code, const std::string& text, ControlTime now);
  /// From now on every rank is due to say goodbye, by `by`.
  void expect_goodbyes(ControlTime by) { goodbyes_by_ = by; }

  /// Applies the deadlines. The verdict once, when one is due.
  std::optional<Verdict> tick(ControlTime now);

  bool everyone_left() const;
  bool everyone_arrived() const { return ranks_in(RankState::kAbsent).empty(); }
  /// The lowest present rank but 0: it writes the verdict if rank 0 is lost. kNoRank if none, and
  /// until every rank has arrived, so that no two ranks ever believe it of themselves.
  std::uint32_t reporter() const;
  std::vector<RankStatus> status(ControlTime now) const;

 private:
  // In order of weight; kEnded and kSilent weigh the same.
  enum class Cause : std::uint8_t {
    kFailure,
    kEnded,
    kSilent,
    kStuck,
    kAbsent,
    kLate,
    kInterrupt,
    kSignalled,
    kWantOfPeer,
  };
  struct Member {
    RankState state = RankState::kAbsent;
    std::string host;
    std::uint64_t pid = 0;
    Heartbeat last;
    ControlTime heard{};          // when the last heartbeat came
    ControlTime patience_from{};  // `heard`, plus what this process itself was away
  };
  struct Evidence {
    Cause cause{};
    int rank = -1;
    ControlTime found{};
    ExitCode code = ExitCode::kRankLost;
    std::string detail;
  };

  Member& member(int rank) { return members_.at(static_cast<std::size_t>(rank)); }
  const Member& member(int rank) const { return members_.at(static_cast<std::size_t>(rank)); }
  std::vector<int> ranks_in(RankState state) const;
  void add(Cause cause, int rank, ExitCode code, std::string detail, ControlTime now);
  void settle_on(Cause cause, std::optional<int> rank, ControlTime now);

  void forgive_own_absence(ControlTime now);
  bool echoes_own_absence(const Evidence& evidence) const;
  void find_silent(ControlTime now);
  void find_absent(ControlTime now);
  void find_late(ControlTime now);
  void find_stuck(ControlTime now);
  bool overdue(int rank, ControlTime now) const;
  std::optional<int> stuck_behind(int rank, ControlTime now) const;

  const Evidence* best() const;
  bool heard_from_all_since(ControlTime then) const;
  bool ripe(const Evidence& evidence, ControlTime now) const;
  std::chrono::milliseconds activity_age(const Member& m, ControlTime now) const;

  // fleet_text.cc
  std::string name(int rank) const;
  std::string text_of(const Evidence& evidence, ControlTime now) const;
  std::string ended_text(const Evidence& evidence) const;
  std::string silent_text(const Evidence& evidence, ControlTime now) const;
  std::string stuck_text(const Evidence& evidence, ControlTime now) const;
  std::string absent_text() const;
  std::string away_text() const;

  FleetDeadlines deadlines_;
  SettleTimes settle_;
  std::chrono::milliseconds tick_;
  ControlTime start_by_;
  ControlTime last_tick_;
  // The last time that this process was away for so long that others may have taken it for lost.
  struct Absence {
    ControlTime from;
    ControlTime to;
  };
  std::optional<Absence> away_;
  std::optional<ControlTime> goodbyes_by_;
  std::vector<Member> members_;
  std::vector<Evidence> evidence_;
  bool decided_ = false;
};

}  // namespace varve
