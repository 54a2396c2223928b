#include "tests/coordinator/fleet/raw_peer.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace varve {
namespace {

constexpr int kPatienceMs = 10'000;

}  // namespace

RawPeer::RawPeer(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) return;
  fd_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd_, found->ai_addr, found->ai_addrlen) != 0) close();
  freeaddrinfo(found);
}

RawPeer::~RawPeer() {
  close();
}

RawPeer::RawPeer(RawPeer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), parser_(std::move(other.parser_)) {}

void RawPeer::send_bytes(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the server hung up; reading will tell
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void RawPeer::send_text(std::string_view text) {
  send_bytes(std::as_bytes(std::span(text.data(), text.size())));
}

std::optional<Frame> RawPeer::read() {
  for (;;) {
    if (auto frame = parser_.next()) return frame;
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, kPatienceMs) <= 0) throw PeerError("nothing came from the server");
    std::array<std::byte, 4096> bytes{};
    const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);
    if (n <= 0) return std::nullopt;
    parser_.feed(std::span(bytes).first(static_cast<std::size_t>(n)));
  }
}

bool RawPeer::ended_by_server() {
  while (read()) {
  }
  return true;
}

void RawPeer::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void RawPeer::reset() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

}  // namespace varve
