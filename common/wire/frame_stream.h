// Frames over a connected TCP socket. Included by .cc files only: it brings in Asio.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "common/wire/frame.h"

namespace varve {

/// Why a stream ended. `malformed`: this side cut it off, for what the peer sent.
struct StreamEnd {
  bool malformed = false;
  std::string why;  // "connection closed", "connection reset", "malformed frame: ..."
};

/// Used by the thread that runs the socket's io_context, and by it alone.
class FrameStream : public std::enable_shared_from_this<FrameStream> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  struct Handlers {
    std::function<void(const Frame&)> on_frame;    // what it throws ends the stream, malformed
    std::function<void(const StreamEnd&)> on_end;  // once, and last; not after close()
  };

  FrameStream(Socket socket, std::size_t max_payload);

  void start(Handlers handlers);
  void send(std::vector<std::byte> frame);
  /// Sends what is queued, then tells the peer that nothing more comes; goes on receiving. A plain
  /// close with bytes unread would reset the connection, and the peer might never see the last
  /// message.
  void finish_sending();
  /// At once. No handler is called any more.
  void close();

  void set_max_payload(std::size_t bytes) { parser_.set_max_payload(bytes); }
  std::size_t queued() const { return queue_.size(); }
  const std::string& peer() const { return peer_; }  // "192.0.2.7:40312"

 private:
  void read();
  void deliver(std::size_t bytes);
  void write();
  void end(const StreamEnd& end);

  Socket socket_;
  std::string peer_;
  FrameParser parser_;
  Handlers handlers_;
  std::array<std::byte, 4096> incoming_{};
  std::deque<std::vector<std::byte>> queue_;  // the front one is being written
  bool finishing_ = false;
  bool ended_ = false;
};

/// "192.0.2.7:4000", "[2001:db8::1]:4000"
std::string to_text(const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace varve
