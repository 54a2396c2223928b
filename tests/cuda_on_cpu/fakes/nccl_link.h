// Bytes between two ranks of the fake NCCL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

namespace varve::fakes {

/// A descriptor that is closed with its owner.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// What both ends of a transfer must agree on: which call it belongs to, and for a collective its
/// type and operation.
using Verb = std::uint32_t;
inline constexpr Verb kPointToPoint = 0;
std::string verb_name(Verb verb);

/// One end of a message.
struct Transfer {
  Verb verb;
  std::byte* data;
  std::size_t bytes;
  std::size_t moved = 0;
  bool announced = false;  // the sender knows that it is awaited
  bool done = false;
};

/// To one rank. A message starts when both ends are there (rendezvous), in the order in which its
/// ends were posted.
class Link {
 public:
  /// Without a socket: to the rank itself.
  Link(int self, int peer, Socket socket);

  void send(std::shared_ptr<Transfer> transfer) { sends_.push_back(std::move(transfer)); }
  void recv(std::shared_ptr<Transfer> transfer) { recvs_.push_back(std::move(transfer)); }
  /// True if something moved. KernelError if the ends of a message disagree.
  bool progress();
  /// The peer ended without a goodbye, or is gone while something waits for it.
  bool lost() const { return gone_ && (!goodbye_ || !sends_.empty() || !recvs_.empty()); }
  void say_goodbye();

 private:
  struct Header {
    std::uint32_t kind;
    Verb verb;
    std::uint64_t bytes;  // of the whole message
  };
  bool match_own();
  bool read_packets();
  void on_packet(const Header& header, const std::byte* payload, std::size_t bytes);
  bool announce();
  bool write_data();
  bool write(const Header& header, const std::byte* payload, std::size_t bytes);
  [[noreturn]] void disagree(const Header& sent, const Header& taken, bool sender) const;

  int self_, peer_;
  Socket socket_;
  std::deque<std::shared_ptr<Transfer>> sends_, recvs_;
  std::deque<Header> awaited_;  // what the peer has announced to take
  bool goodbye_ = false;
  bool gone_ = false;
};

}  // namespace varve::fakes
