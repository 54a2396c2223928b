#include "tests/cuda_on_cpu/fakes/nccl_link.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {
namespace {

enum Kind : std::uint32_t { kAwaited, kData, kGoodbye };

constexpr std::size_t kPayload = 64 * 1024;

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Link::Link(int self, int peer, Socket socket)
    : self_(self), peer_(peer), socket_(std::move(socket)) {}

bool Link::progress() {
  if (!socket_) return match_own();
  bool moved = read_packets();
  if (gone_) return moved;
  moved |= announce();
  moved |= write_data();
  return moved;
}

bool Link::match_own() {
  bool moved = false;
  while (!sends_.empty() && !recvs_.empty()) {
    Transfer& from = *sends_.front();
    Transfer& to = *recvs_.front();
    const Header sent{kData, from.verb, from.bytes};
    const Header taken{kAwaited, to.verb, to.bytes};
    if (sent.verb != taken.verb || sent.bytes != taken.bytes) disagree(sent, taken, true);
    std::memmove(to.data, from.data, from.bytes);
    from.done = to.done = moved = true;
    sends_.pop_front();
    recvs_.pop_front();
  }
  return moved;
}

bool Link::read_packets() {
  // One per thread: the lock of the machine is held, but two threads would share it otherwise.
  thread_local std::vector<std::byte> buffer(sizeof(Header) + kPayload);
  bool moved = false;
  while (!gone_) {
    const ssize_t got = ::recv(socket_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) break;
    // The peer closed without reading all: reported once, and before what it sent itself.
    if (got < 0 && (errno == ECONNRESET || errno == EINTR)) continue;
    if (got < static_cast<ssize_t>(sizeof(Header))) {
      gone_ = true;
      break;
    }
    Header header;
    std::memcpy(&header, buffer.data(), sizeof header);
    on_packet(header, buffer.data() + sizeof header, static_cast<std::size_t>(got) - sizeof header);
    moved = true;
  }
  return moved;
}

void Link::on_packet(const Header& header, const std::byte* payload, std::size_t bytes) {
  if (header.kind == kGoodbye) {
    goodbye_ = true;
    return;
  }
  if (header.kind == kAwaited) {
    awaited_.push_back(header);
    return;
  }
  // Data comes only for what was announced, in the order in which it was posted.
  Transfer& to = *recvs_.front();
  if (header.verb != to.verb || header.bytes != to.bytes) {
    disagree(header, {kAwaited, to.verb, to.bytes}, false);
  }
  if (bytes > 0) std::memcpy(to.data + to.moved, payload, bytes);
  to.moved += bytes;
  if (to.moved < to.bytes) return;
  to.done = true;
  recvs_.pop_front();
}

bool Link::announce() {
  bool moved = false;
  for (const auto& to : recvs_) {
    if (to->announced) continue;
    if (!write({kAwaited, to->verb, to->bytes}, nullptr, 0)) break;
    to->announced = moved = true;
  }
  return moved;
}

bool Link::write_data() {
  bool moved = false;
  while (!sends_.empty() && !awaited_.empty()) {
    Transfer& from = *sends_.front();
    const Header header{kData, from.verb, from.bytes};
    const Header& taken = awaited_.front();
    if (header.verb != taken.verb || header.bytes != taken.bytes) {
      write(header, nullptr, 0);  // so that the peer knows, too
      disagree(header, taken, true);
    }
    const std::size_t bytes = std::min(kPayload, from.bytes - from.moved);
    if (!write(header, from.data + from.moved, bytes)) break;
    moved = true;
    from.moved += bytes;
    if (from.moved < from.bytes) continue;
    from.done = true;
    sends_.pop_front();
    awaited_.pop_front();
  }
  return moved;
}

bool Link::write(const Header& header, const std::byte* payload, std::size_t bytes) {
  Header copy = header;
  iovec parts[2] = {{&copy, sizeof copy}, {const_cast<std::byte*>(payload), bytes}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = bytes > 0 ? 2 : 1;
  // If the peer is gone, reading finds out: what it sent before is still there.
  return ::sendmsg(socket_.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void Link::say_goodbye() {
  if (socket_ && !gone_) write({kGoodbye, 0, 0}, nullptr, 0);
}

void Link::disagree(const Header& sent, const Header& taken, bool sender) const {
  throw KernelError(fmt::format("rank {} sends {} bytes with {}, rank {} takes {} bytes with {}",
                                sender ? self_ : peer_, sent.bytes, verb_name(sent.verb),
                                sender ? peer_ : self_, taken.bytes, verb_name(taken.verb)));
}

}  // namespace varve::fakes
