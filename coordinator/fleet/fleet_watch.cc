#include "coordinator/fleet/fleet_watch.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace varve {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxHostBytes = 255;

milliseconds elapsed(ControlTime from, ControlTime to) {
  return std::max(milliseconds(0), std::chrono::duration_cast<milliseconds>(to - from));
}

bool waits_for_peer(const Activity& a) {
  return a.kind == ActivityKind::kReceiving || a.kind == ActivityKind::kSending;
}
bool works(const Activity& a) {
  return a.kind == ActivityKind::kComputing || a.kind == ActivityKind::kSampling;
}

}  // namespace

FleetWatch::FleetWatch(int ranks, FleetDeadlines deadlines, SettleTimes settle, milliseconds tick,
                       ControlTime now)
    : deadlines_(deadlines),
      settle_(settle),
      tick_(tick),
      start_by_(now + deadlines.start),
      last_tick_(now),
      members_(static_cast<std::size_t>(ranks)) {}

std::string FleetWatch::objection(const Hello& hello) const {
  if (hello.rank >= members_.size()) {
    return fmt::format("rank {} of {} ranks", hello.rank, members_.size());
  }
  const Member& m = members_[hello.rank];
  if (m.state == RankState::kAbsent) return "";
  return fmt::format("rank {} is taken by process {} on {}", hello.rank, m.pid, m.host);
}

void FleetWatch::arrive(const Hello& hello, ControlTime now) {
  Member& m = members_.at(hello.rank);
  m.state = RankState::kPresent;
  m.host = one_line(hello.host, kMaxHostBytes);
  m.pid = hello.pid;
  m.heard = m.patience_from = now;
}

void FleetWatch::heartbeat(int rank, const Heartbeat& beat, ControlTime now) {
  Member& m = member(rank);
  m.last = beat;
  m.heard = m.patience_from = now;
}

void FleetWatch::failure(int rank, const Failure& failure, ControlTime now) {
  if (member(rank).state != RankState::kPresent) return;
  member(rank).state = RankState::kFailed;
  const ExitCode code = failure_code(failure.code);
  Cause cause = Cause::kFailure;
  if (code == ExitCode::kRankLost) cause = Cause::kWantOfPeer;
  if (code == ExitCode::kInterrupted || code == ExitCode::kTerminated) cause = Cause::kSignalled;
  add(cause, rank, code, failure.message, now);
}

void FleetWatch::connection_ended(int rank, const std::string& how, ControlTime now) {
  if (member(rank).state != RankState::kPresent) return;
  member(rank).state = RankState::kLost;
  add(Cause::kEnded, rank, ExitCode::kRankLost, how, now);
}

void FleetWatch::goodbye(int rank, ControlTime) {
  if (member(rank).state == RankState::kPresent) member(rank).state = RankState::kLeft;
}

void FleetWatch::interrupt(ExitCode code, const std::string& text, ControlTime now) {
  add(Cause::kInterrupt, -1, failure_code(code), text, now);
}

std::optional<Verdict> FleetWatch::tick(ControlTime now) {
  if (decided_) return std::nullopt;
  forgive_own_absence(now);
  find_silent(now);
  find_absent(now);
  find_late(now);
  find_stuck(now);
  const Evidence* e = best();
  if (e == nullptr || !ripe(*e, now)) return std::nullopt;
  decided_ = true;
  if (echoes_own_absence(*e)) {
    return Verdict{ExitCode::kRankLost, 0, member(0).host, away_text(), true};
  }
  const std::string host = e->rank < 0 ? "" : member(e->rank).host;
  return Verdict{e->code, e->rank, host, text_of(*e, now)};
}

bool FleetWatch::everyone_left() const {
  return ranks_in(RankState::kLeft).size() == members_.size();
}

std::uint32_t FleetWatch::reporter() const {
  if (!everyone_arrived()) return kNoRank;
  for (int rank : ranks_in(RankState::kPresent)) {
    if (rank != 0) return static_cast<std::uint32_t>(rank);
  }
  return kNoRank;
}

std::vector<RankStatus> FleetWatch::status(ControlTime now) const {
  std::vector<RankStatus> all;
  for (const Member& m : members_) {
    RankStatus s{
        static_cast<int>(all.size()), m.state, m.host, m.pid, m.last.activity, m.last.status};
    if (m.state != RankState::kAbsent) s.since_heartbeat = elapsed(m.heard, now);
    s.activity.since_ms = static_cast<std::uint32_t>(activity_age(m, now).count());
    all.push_back(std::move(s));
  }
  return all;
}

std::vector<int> FleetWatch::ranks_in(RankState state) const {
  std::vector<int> ranks;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].state == state) ranks.push_back(static_cast<int>(i));
  }
  return ranks;
}

void FleetWatch::add(Cause cause, int rank, ExitCode code, std::string detail, ControlTime now) {
  evidence_.push_back({cause, rank, now, code, std::move(detail)});
}

// --- deadlines ---

void FleetWatch::forgive_own_absence(ControlTime now) {
  const ControlTime before = std::exchange(last_tick_, now);
  const auto gap = now - before;
  if (gap <= 4 * tick_) return;
  // Their patience runs from the last beat that they got, up to two intervals before.
  if (gap >= deadlines_.peer * 3 / 4) away_ = {before, now};
  for (Member& m : members_) m.patience_from += gap - tick_;
}

// Not what this process has watched for a whole deadline since; and while another rank is here and
// well, that has not given this one up.
bool FleetWatch::echoes_own_absence(const Evidence& e) const {
  const bool heard = e.cause == Cause::kEnded || e.cause == Cause::kInterrupt ||
                     e.cause == Cause::kSignalled || e.cause == Cause::kWantOfPeer;
  if (!away_ || !heard || members_.size() == 1) return false;
  const auto present = ranks_in(RankState::kPresent);
  const bool alone = std::all_of(present.begin(), present.end(), [](int r) { return r == 0; });
  return alone && e.found > away_->from && e.found < away_->to + deadlines_.peer;
}

void FleetWatch::find_silent(ControlTime now) {
  for (int rank : ranks_in(RankState::kPresent)) {
    if (now - member(rank).patience_from < deadlines_.peer) continue;
    member(rank).state = RankState::kLost;
    add(Cause::kSilent, rank, ExitCode::kRankLost, "", now);
  }
}

// What is derived anew at each tick: a rank that gets on, arrives or leaves after all is no longer
// evidence, and one that does not keeps the time at which it was first found.
void FleetWatch::settle_on(Cause cause, std::optional<int> rank, ControlTime now) {
  const auto known = std::find_if(evidence_.begin(), evidence_.end(),
                                  [&](const Evidence& e) { return e.cause == cause; });
  if (known != evidence_.end()) {
    if (rank == known->rank) return;
    evidence_.erase(known);
  }
  if (rank) add(cause, *rank, ExitCode::kRankLost, "", now);
}

void FleetWatch::find_absent(ControlTime now) {
  const auto absent = ranks_in(RankState::kAbsent);
  const bool due = now >= start_by_ && !absent.empty();
  settle_on(Cause::kAbsent, due ? std::optional(absent.front()) : std::nullopt, now);
}

void FleetWatch::find_late(ControlTime now) {
  const auto present = ranks_in(RankState::kPresent);
  const bool due = goodbyes_by_ && now >= *goodbyes_by_ && !present.empty();
  settle_on(Cause::kLate, due ? std::optional(present.front()) : std::nullopt, now);
}

bool FleetWatch::overdue(int rank, ControlTime now) const {
  const Member& m = member(rank);
  const bool limited = works(m.last.activity) || waits_for_peer(m.last.activity);
  return m.state == RankState::kPresent && limited && activity_age(m, now) >= deadlines_.step;
}

// Who is to blame that the overdue `rank` does not get on: the end of the chain of waits that
// starts there. Nobody (yet) if that one works within its deadline, or still starts.
std::optional<int> FleetWatch::stuck_behind(int rank, ControlTime now) const {
  for (std::size_t hops = 0; hops < members_.size(); ++hops) {
    const Activity& a = member(rank).last.activity;
    if (!waits_for_peer(a) || a.peer >= members_.size()) break;
    const auto peer = static_cast<int>(a.peer);
    const Activity& b = member(peer).last.activity;
    const bool starts = b.kind == ActivityKind::kStarting || b.kind == ActivityKind::kLoading;
    if (starts || (works(b) && !overdue(peer, now))) return std::nullopt;
    if (!overdue(peer, now)) break;  // it waits for nothing from this rank: they disagree
    rank = peer;
  }
  return rank;
}

void FleetWatch::find_stuck(ControlTime now) {
  if (deadlines_.step.count() == 0) return;
  std::optional<int> culprit;
  for (int rank : ranks_in(RankState::kPresent)) {
    if (!culprit && overdue(rank, now)) culprit = stuck_behind(rank, now);
  }
  settle_on(Cause::kStuck, culprit, now);
}

milliseconds FleetWatch::activity_age(const Member& m, ControlTime now) const {
  if (m.state == RankState::kAbsent) return milliseconds(0);
  return milliseconds(m.last.activity.since_ms) + elapsed(m.heard, now);
}

// --- the choice ---

const FleetWatch::Evidence* FleetWatch::best() const {
  // A connection that ended and a silence weigh the same.
  const auto weight = [](const Evidence& e) {
    return std::tuple(e.cause == Cause::kSilent ? Cause::kEnded : e.cause, e.found);
  };
  const auto it =
      std::min_element(evidence_.begin(), evidence_.end(),
                       [&](const Evidence& a, const Evidence& b) { return weight(a) < weight(b); });
  return it == evidence_.end() ? nullptr : &*it;
}

bool FleetWatch::heard_from_all_since(ControlTime then) const {
  const auto present = ranks_in(RankState::kPresent);
  return std::all_of(present.begin(), present.end(),
                     [&](int rank) { return member(rank).heard > then; });
}

bool FleetWatch::ripe(const Evidence& e, ControlTime now) const {
  switch (e.cause) {
    case Cause::kInterrupt:
    case Cause::kSignalled:
      return now - e.found >= settle_.signal;
    case Cause::kStuck:
    case Cause::kLate:
    case Cause::kWantOfPeer:
      return now - e.found >= settle_.cause && heard_from_all_since(e.found);
    case Cause::kFailure:
    case Cause::kEnded:
    case Cause::kSilent:
    case Cause::kAbsent:
      break;
  }
  return now - e.found >= settle_.cause;
}

}  // namespace varve
