// The control plane: what a rank and the coordinator say to each other over TCP, next to the
// pipeline and never through it. A dead socket is how a dead rank is noticed, a missing heartbeat
// how a stopped one is, an activity that does not change how a stuck one is.
//
//   rank -> coordinator   Hello, then Heartbeat every Welcome.interval_ms; Failure or Goodbye last
//   coordinator -> rank   Welcome or Refusal, then Beat at the same pace; Abort or Goodbye last
//
// The launch token keeps strangers and other jobs out; it goes in clear text, so the network
// between the ranks must be trusted as far as MPI's own must be.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/wire/archive.h"
#include "common/wire/frame.h"

namespace varve {

inline constexpr std::uint32_t kControlVersion = 1;
inline constexpr std::uint32_t kNoRank = 0xffffffff;
inline constexpr std::uint64_t kNoStep = ~std::uint64_t{0};

enum class ControlKind : std::uint32_t {
  kHello = 1,
  kWelcome,
  kRefusal,
  kHeartbeat,
  kBeat,
  kFailure,
  kAbort,
  kGoodbye,
};

/// The first message. `version` stays the first field in every version.
struct Hello {
  static constexpr ControlKind kKind = ControlKind::kHello;
  std::uint32_t version = kControlVersion;
  std::string token;
  std::uint32_t rank = 0;
  std::string host;
  std::uint64_t pid = 0;
};
template <class A>
void visit(A& a, Hello& h) {
  a(h.version, h.token, h.rank, h.host, h.pid);
}

struct Welcome {
  static constexpr ControlKind kKind = ControlKind::kWelcome;
  std::uint32_t interval_ms = 0;       // between two heartbeats, in both directions
  std::uint32_t peer_deadline_ms = 0;  // this long without one: lost
  std::string host;                    // of rank 0
};
template <class A>
void visit(A& a, Welcome& w) {
  a(w.interval_ms, w.peer_deadline_ms, w.host);
}

struct Refusal {
  static constexpr ControlKind kKind = ControlKind::kRefusal;
  std::string reason;
};
template <class A>
void visit(A& a, Refusal& r) {
  a(r.reason);
}

enum class ActivityKind : std::uint8_t {
  kStarting,
  kPreparing,      // rank 0: reads the document and plans
  kWaitingOrders,  // for that
  kLoading,
  kWaitingStep,  // for the next step; may take as long as it likes
  kComputing,
  kReceiving,  // activations of `step` from `peer`
  kSending,    // activations of `step` to `peer`
  kSampling,
  kReporting,
  kIdle,
  kDone,
};

/// What a rank is doing.
struct Activity {
  ActivityKind kind = ActivityKind::kStarting;
  std::uint64_t step = kNoStep;
  std::uint32_t peer = kNoRank;
  std::uint32_t since_ms = 0;  // how long it has been doing that when the message was written
};
template <class A>
void visit(A& a, Activity& x) {
  a(x.kind, x.step, x.peer, x.since_ms);
}

/// Counts since the start of the run.
struct StageStatus {
  std::uint64_t rows_done = 0;
  std::uint64_t busy_ns = 0;     // of elapsed_ns, spent computing
  std::uint64_t elapsed_ns = 0;  // since the first step
  std::uint64_t kv_bytes = 0;    // held now
};
template <class A>
void visit(A& a, StageStatus& s) {
  a(s.rows_done, s.busy_ns, s.elapsed_ns, s.kv_bytes);
}

struct Heartbeat {
  static constexpr ControlKind kKind = ControlKind::kHeartbeat;
  Activity activity;
  StageStatus status;
};
template <class A>
void visit(A& a, Heartbeat& h) {
  a(h.activity, h.status);
}

/// The coordinator is alive.
struct Beat {
  static constexpr ControlKind kKind = ControlKind::kBeat;
  std::uint32_t reporter = kNoRank;  // the rank that writes the verdict if rank 0 is lost
};
template <class A>
void visit(A& a, Beat& b) {
  a(b.reporter);
}

/// The rank ends with an error. kRankLost says: for want of another rank, the cause is elsewhere.
struct Failure {
  static constexpr ControlKind kKind = ControlKind::kFailure;
  ExitCode code = ExitCode::kOther;
  std::string message;
};
template <class A>
void visit(A& a, Failure& f) {
  a(f.code, f.message);
}

/// Everybody ends, with this code. The verdict has been written by then.
struct Abort {
  static constexpr ControlKind kKind = ControlKind::kAbort;
  ExitCode code = ExitCode::kOther;
  std::string verdict;
};
template <class A>
void visit(A& a, Abort& b) {
  a(b.code, b.verdict);
}

/// An orderly end; the coordinator answers with the same.
struct Goodbye {
  static constexpr ControlKind kKind = ControlKind::kGoodbye;
};
template <class A>
void visit(A&, Goodbye&) {}

std::string_view control_kind_name(ControlKind kind);

template <class M>
std::vector<std::byte> encode_control(const M& message) {
  return encode_frame(static_cast<std::uint32_t>(M::kKind), to_bytes(message));
}

/// PeerError if the frame is of another kind or malformed.
template <class M>
M decode_control(const Frame& frame) {
  const auto kind = static_cast<ControlKind>(frame.kind);
  if (kind != M::kKind) {
    throw PeerError(fmt::format("malformed conversation: {} where {} was due",
                                control_kind_name(kind), control_kind_name(M::kKind)));
  }
  return from_bytes<M>(frame.payload, control_kind_name(kind));
}

/// Checks what the types alone do not: version and ranges. PeerError.
Hello decode_hello(const Frame& frame);
Heartbeat decode_heartbeat(const Frame& frame);

/// "receiving activations of step 417 from rank 1": goes after "while" and "it was".
std::string describe(const Activity& activity);

/// `text` fit for one line of a terminal: no control characters, at most `max_bytes` long.
std::string one_line(std::string_view text, std::size_t max_bytes);

/// A code that came over the wire: those that the program knows, else kOther. Never kDone.
ExitCode failure_code(ExitCode code);

}  // namespace varve
