#include "common/wire/control.h"

#include <cstring>

namespace varve {
namespace {

std::string of_step(std::uint64_t step) {
  return step == kNoStep ? "" : fmt::format(" of step {}", step);
}

std::string with_peer(std::string_view preposition, std::uint32_t peer) {
  return peer == kNoRank ? "" : fmt::format(" {} rank {}", preposition, peer);
}

// Truncation must not leave half a UTF-8 sequence.
std::size_t whole_characters(std::string_view text, std::size_t bytes) {
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return bytes;
}

}  // namespace

std::string_view control_kind_name(ControlKind kind) {
  switch (kind) {
    case ControlKind::kHello:
      return "hello";
    case ControlKind::kWelcome:
      return "welcome";
    case ControlKind::kRefusal:
      return "refusal";
    case ControlKind::kHeartbeat:
      return "heartbeat";
    case ControlKind::kBeat:
      return "beat";
    case ControlKind::kFailure:
      return "failure";
    case ControlKind::kAbort:
      return "abort";
    case ControlKind::kGoodbye:
      return "goodbye";
  }
  return "unknown";
}

Hello decode_hello(const Frame& frame) {
  std::uint32_t version = 0;
  if (frame.kind == static_cast<std::uint32_t>(ControlKind::kHello) &&
      frame.payload.size() >= sizeof version) {
    std::memcpy(&version, frame.payload.data(), sizeof version);
    if (version != kControlVersion) {
      throw PeerError(fmt::format(
          "control protocol version {}, this build speaks {}: start one build of varve everywhere",
          version, kControlVersion));
    }
  }
  return decode_control<Hello>(frame);
}

Heartbeat decode_heartbeat(const Frame& frame) {
  const auto beat = decode_control<Heartbeat>(frame);
  if (beat.activity.kind > ActivityKind::kDone) {
    throw PeerError(fmt::format("malformed heartbeat message: activity {}",
                                static_cast<int>(beat.activity.kind)));
  }
  return beat;
}

std::string describe(const Activity& activity) {
  const std::uint64_t step = activity.step;
  switch (activity.kind) {
    case ActivityKind::kStarting:
      return "starting";
    case ActivityKind::kPreparing:
      return "reading the document";
    case ActivityKind::kWaitingOrders:
      return "waiting for its orders";
    case ActivityKind::kLoading:
      return "loading its weights";
    case ActivityKind::kWaitingStep:
      return "waiting for a step" + with_peer("from", activity.peer);
    case ActivityKind::kComputing:
      return step == kNoStep ? "computing" : fmt::format("computing step {}", step);
    case ActivityKind::kReceiving:
      return "receiving activations" + of_step(step) + with_peer("from", activity.peer);
    case ActivityKind::kSending:
      return "sending activations" + of_step(step) + with_peer("to", activity.peer);
    case ActivityKind::kSampling:
      return "sampling the tokens" + of_step(step);
    case ActivityKind::kReporting:
      return "reporting its results";
    case ActivityKind::kIdle:
      return "idle";
    case ActivityKind::kDone:
      return "done";
  }
  return "doing something unknown";
}

std::string one_line(std::string_view text, std::size_t max_bytes) {
  const bool cut = text.size() > max_bytes;
  std::string line(text.substr(0, cut ? whole_characters(text, max_bytes) : text.size()));
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return cut ? line + " ..." : line;
}

ExitCode failure_code(ExitCode code) {
  switch (code) {
    case ExitCode::kUsage:
    case ExitCode::kDoesNotFit:
    case ExitCode::kReceipt:
    case ExitCode::kRankLost:
    case ExitCode::kInterrupted:
    case ExitCode::kTerminated:
      return code;
    case ExitCode::kDone:
    case ExitCode::kOther:
      break;
  }
  return ExitCode::kOther;
}

}  // namespace varve
