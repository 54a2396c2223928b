// The sentences of a verdict. One line each: which rank, where, what happened, doing what, how
// long.
#include <algorithm>

#include "coordinator/fleet/fleet_watch.h"

namespace varve {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxMessageBytes = 2000;

std::string seconds(milliseconds time) {
  return fmt::format("{:.1f} s", static_cast<double>(time.count()) / 1000);
}
// A limit as its author wrote it: 30 s, 0.3 s.
std::string limit(milliseconds time) {
  return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
}
milliseconds between(ControlTime from, ControlTime to) {
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(to - from));
}

// "rank 2", "ranks 0, 2 and 5"
std::string rank_list(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (i > 0) text += i + 1 == ranks.size() ? " and " : ", ";
    text += std::to_string(ranks[i]);
  }
  return text;
}

}  // namespace

std::string_view rank_state_name(RankState state) {
  switch (state) {
    case RankState::kAbsent:
      return "absent";
    case RankState::kPresent:
      return "present";
    case RankState::kFailed:
      return "failed";
    case RankState::kLost:
      return "lost";
    case RankState::kLeft:
      return "left";
  }
  return "unknown";
}

std::string FleetWatch::name(int rank) const {
  const std::string& host = member(rank).host;
  return host.empty() ? fmt::format("rank {}", rank) : fmt::format("rank {} on {}", rank, host);
}

std::string FleetWatch::text_of(const Evidence& e, ControlTime now) const {
  switch (e.cause) {
    case Cause::kEnded:
      return ended_text(e);
    case Cause::kSilent:
      return silent_text(e, now);
    case Cause::kStuck:
      return stuck_text(e, now);
    case Cause::kAbsent:
      return absent_text();
    case Cause::kLate:
      return fmt::format("{} did not leave in time at the end of the run; it was {}", name(e.rank),
                         describe(member(e.rank).last.activity));
    case Cause::kInterrupt:
      return one_line(e.detail, kMaxMessageBytes);
    case Cause::kFailure:
    case Cause::kSignalled:
    case Cause::kWantOfPeer:
      break;
  }
  return fmt::format("{} failed: {}", name(e.rank), one_line(e.detail, kMaxMessageBytes));
}

std::string FleetWatch::ended_text(const Evidence& e) const {
  const Member& m = member(e.rank);
  return fmt::format("{} {} while {}, {} after its last heartbeat", name(e.rank),
                     one_line(e.detail, kMaxMessageBytes), describe(m.last.activity),
                     seconds(between(m.heard, e.found)));
}

std::string FleetWatch::silent_text(const Evidence& e, ControlTime now) const {
  const Member& m = member(e.rank);
  return fmt::format("{} was lost {} ago: no heartbeat; it was {}", name(e.rank),
                     seconds(between(m.heard, now)), describe(m.last.activity));
}

std::string FleetWatch::stuck_text(const Evidence& e, ControlTime now) const {
  const Member& m = member(e.rank);
  return fmt::format("{} is stuck: it has been {} for {} (step deadline {})", name(e.rank),
                     describe(m.last.activity), seconds(activity_age(m, now)),
                     limit(deadlines_.step));
}

std::string FleetWatch::away_text() const {
  return fmt::format("{}, which hosts the coordinator, was stopped or starved for {}", name(0),
                     seconds(between(away_->from, away_->to)));
}

std::string FleetWatch::absent_text() const {
  return fmt::format("{} did not arrive within {} (start deadline)",
                     rank_list(ranks_in(RankState::kAbsent)), limit(deadlines_.start));
}

}  // namespace varve
