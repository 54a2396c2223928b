#include "tests/cuda_on_cpu/fakes/nccl_mesh.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

namespace varve::fakes {
namespace {

Socket make_socket() {
  return Socket(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

struct Address {
  sockaddr_un data{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&data); }
};

// A first byte of zero: a name that is no file.
Address address_of(const std::string& name, int rank) {
  const std::string text = fmt::format("varve-fake-nccl-{}-{}", name, rank);
  Address address;
  address.data.sun_family = AF_UNIX;
  const std::size_t bytes = std::min(text.size(), sizeof address.data.sun_path - 1);
  std::memcpy(address.data.sun_path + 1, text.data(), bytes);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
  return address;
}

bool say(const Socket& socket, const Hello& hello) {
  return ::send(socket.fd(), &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello;
}

std::optional<Hello> hear(const Socket& socket) {
  Hello hello{};
  if (::recv(socket.fd(), &hello, sizeof hello, MSG_DONTWAIT) != sizeof hello) return std::nullopt;
  return hello;
}

// NCCL 2.30 and later allow it when they are told to.
bool ranks_may_share_a_device() {
  const char* value = std::getenv("NCCL_MULTI_RANK_GPU_ENABLE");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace

Mesh::Mesh(std::string name, const Hello& self)
    : name_(std::move(name)),
      self_(self),
      sockets_(static_cast<std::size_t>(self.size)),
      hellos_(static_cast<std::size_t>(self.size)) {
  hellos_[static_cast<std::size_t>(self.rank)] = self;
}

ncclResult_t Mesh::fail(ncclResult_t result, std::string why) {
  why_ = std::move(why);
  return result_ = result;
}

ncclResult_t Mesh::advance() {
  if (result_ != ncclInProgress) return result_;
  if (!listener_ && !listen()) return result_;
  connect_to_lower();
  accept_higher();
  read_hellos();
  if (result_ != ncclInProgress) return result_;
  for (std::size_t i = 0; i < hellos_.size(); ++i) {
    if (!met(i)) return ncclInProgress;
  }
  listener_ = Socket();
  return result_ = ncclSuccess;
}

bool Mesh::listen() {
  Socket made = make_socket();
  const Address address = address_of(name_, self_.rank);
  if (!made || bind(made.fd(), address.get(), address.length) != 0 ||
      ::listen(made.fd(), self_.size) != 0) {
    const bool twice = errno == EADDRINUSE;
    fail(twice ? ncclInvalidUsage : ncclSystemError,
         twice ? fmt::format("rank {} is there already", self_.rank)
               : fmt::format("a socket: {}", std::strerror(errno)));
    return false;
  }
  listener_ = std::move(made);
  return true;
}

void Mesh::connect_to_lower() {
  for (int rank = 0; rank < self_.rank; ++rank) {
    Socket& socket = sockets_[static_cast<std::size_t>(rank)];
    if (socket) continue;
    Socket made = make_socket();
    const Address address = address_of(name_, rank);
    if (!made || connect(made.fd(), address.get(), address.length) != 0) continue;  // not there yet
    if (say(made, self_)) socket = std::move(made);
  }
}

void Mesh::accept_higher() {
  while (true) {
    Socket made(accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!made) return;
    if (say(made, self_)) unknown_.push_back(std::move(made));
  }
}

void Mesh::read_hellos() {
  for (Socket& socket : unknown_) {
    const auto hello = hear(socket);
    if (!hello) continue;
    const bool in_range = hello->rank > self_.rank && hello->rank < self_.size;
    if (in_range) sockets_[static_cast<std::size_t>(hello->rank)] = std::move(socket);
    if (in_range) hellos_[static_cast<std::size_t>(hello->rank)] = *hello;
    if (hello->size != self_.size) {
      fail(ncclInvalidArgument,
           fmt::format("{} ranks here, {} at rank {}", self_.size, hello->size, hello->rank));
    }
  }
  std::erase_if(unknown_, [](const Socket& socket) { return !socket; });
  for (std::size_t i = 0; i < hellos_.size(); ++i) {
    if (!met(i) && sockets_[i]) hellos_[i] = hear(sockets_[i]).value_or(Hello{});
    if (!met(i) || static_cast<std::int32_t>(i) == self_.rank) continue;
    if (hellos_[i].size != self_.size) {
      fail(ncclInvalidArgument,
           fmt::format("{} ranks here, {} at rank {}", self_.size, hellos_[i].size, i));
    }
    if (hellos_[i].device == self_.device && !ranks_may_share_a_device()) {
      fail(ncclInvalidUsage,
           fmt::format("Duplicate GPU detected: rank {} and rank {} both on device {} of the "
                       "machine (VARVE_FAKE_DEVICES gives it more)",
                       self_.rank, i, self_.device));
    }
  }
}

std::string Mesh::missing() const {
  std::string ranks;
  for (std::size_t i = 0; i < hellos_.size(); ++i) {
    if (!met(i)) ranks += fmt::format("{}{}", ranks.empty() ? "" : ", ", i);
  }
  return ranks;
}

}  // namespace varve::fakes
