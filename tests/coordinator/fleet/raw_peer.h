// A TCP client that sends whatever bytes a test wants, in the test's own thread. Every wait ends
// after ten seconds, as a failure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/control.h"

namespace varve {

class RawPeer {
 public:
  /// Connects to "127.0.0.1:port" or "[::1]:port".
  explicit RawPeer(const std::string& address);
  ~RawPeer();
  RawPeer(RawPeer&& other) noexcept;
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  bool connected() const { return fd_ >= 0; }
  void send_bytes(std::span<const std::byte> bytes);
  void send_text(std::string_view text);
  template <class M>
  void send(const M& message) {
    send_bytes(encode_control(message));
  }
  /// The next frame; nothing if the connection ended.
  std::optional<Frame> read();
  /// The next frame of kind M, without the beats in between. PeerError if it is another.
  template <class M>
  M read_message() {
    std::optional<Frame> frame = read();
    while (frame && frame->kind == static_cast<std::uint32_t>(ControlKind::kBeat)) frame = read();
    if (!frame) throw PeerError("the connection ended");
    return decode_control<M>(*frame);
  }
  /// Whether the server ends the connection; reads what comes before that.
  bool ended_by_server();
  /// The end of the connection, as a process that dies ends it.
  void close();
  /// The same as a reset.
  void reset();

 private:
  int fd_ = -1;
  FrameParser parser_;
};

}  // namespace varve
