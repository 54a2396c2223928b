#include "common/wire/frame_stream.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace varve {
namespace {

using boost::system::error_code;

std::string peer_text(const FrameStream::Socket& socket) {
  error_code ec;
  const auto endpoint = socket.remote_endpoint(ec);
  return ec ? "an unknown peer" : to_text(endpoint);
}

}  // namespace

std::string to_text(const boost::asio::ip::tcp::endpoint& endpoint) {
  boost::asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  }
  const std::string text = address.to_string();
  return fmt::format("{}:{}", address.is_v6() ? "[" + text + "]" : text, endpoint.port());
}

FrameStream::FrameStream(Socket socket, std::size_t max_payload)
    : socket_(std::move(socket)), peer_(peer_text(socket_)), parser_(max_payload) {
  error_code ignored;  // a socket that is dead already says so at the first read
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
}

void FrameStream::start(Handlers handlers) {
  handlers_ = std::move(handlers);
  read();
}

void FrameStream::read() {
  socket_.async_read_some(boost::asio::buffer(incoming_.data(), incoming_.size()),
                          [self = shared_from_this()](const error_code& ec, std::size_t n) {
                            if (self->ended_) return;
                            if (ec == boost::asio::error::eof) {
                              self->end({false, "connection closed"});
                            } else if (ec == boost::asio::error::connection_reset) {
                              self->end({false, "connection reset"});
                            } else if (ec) {
                              self->end({false, ec.message()});
                            } else {
                              self->deliver(n);
                            }
                          });
}

void FrameStream::deliver(std::size_t bytes) {
  try {
    parser_.feed(std::span(incoming_).first(bytes));
    while (!ended_) {
      const auto frame = parser_.next();
      if (!frame) break;
      handlers_.on_frame(*frame);
    }
  } catch (const std::exception& e) {
    end({true, e.what()});
  }
  if (!ended_) read();
}

void FrameStream::send(std::vector<std::byte> frame) {
  if (ended_ || finishing_) return;
  queue_.push_back(std::move(frame));
  if (queue_.size() == 1) write();
}

void FrameStream::write() {
  const auto& front = queue_.front();
  boost::asio::async_write(socket_, boost::asio::buffer(front.data(), front.size()),
                           [self = shared_from_this()](const error_code& ec, std::size_t) {
                             // A write that fails says nothing that the read does not say better:
                             // what the peer sent before it went (its Failure) may still be unread.
                             if (self->ended_ || ec) return;
                             self->queue_.pop_front();
                             if (!self->queue_.empty()) {
                               self->write();
                             } else if (self->finishing_) {
                               error_code ignored;
                               self->socket_.shutdown(Socket::shutdown_send, ignored);
                             }
                           });
}

void FrameStream::finish_sending() {
  if (ended_ || finishing_) return;
  finishing_ = true;
  if (!queue_.empty()) return;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void FrameStream::close() {
  ended_ = true;
  error_code ignored;
  socket_.close(ignored);
}

void FrameStream::end(const StreamEnd& end) {
  if (ended_) return;
  close();
  handlers_.on_end(end);
}

}  // namespace varve
