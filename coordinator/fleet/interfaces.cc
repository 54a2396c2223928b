#include "coordinator/fleet/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "common/error.h"

namespace varve {
namespace {

std::optional<InterfaceAddress> usable(const ifaddrs& entry) {
  if (entry.ifa_addr == nullptr || (entry.ifa_flags & IFF_UP) == 0) return std::nullopt;
  InterfaceAddress found{entry.ifa_name, "", false, (entry.ifa_flags & IFF_LOOPBACK) != 0};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = entry.ifa_addr->sa_family;
  if (family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, entry.ifa_addr, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
  } else if (family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, entry.ifa_addr, sizeof v6);
    if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr)) return std::nullopt;
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    found.ipv6 = true;
  } else {
    return std::nullopt;
  }
  found.address = text.data();
  return found;
}

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bits{};
  return inet_pton(AF_INET, text.c_str(), bits.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bits.data()) == 1;
}

}  // namespace

std::vector<InterfaceAddress> interface_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    throw Error(ExitCode::kOther,
                fmt::format("cannot list the network interfaces: {}", std::strerror(errno)));
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (auto address = usable(*entry)) found.push_back(std::move(*address));
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.loopback, a.ipv6) < std::pair(b.loopback, b.ipv6);
  });
  return found;
}

std::string resolve_bind_address(std::string_view where) {
  const std::string wanted(where);
  if (wanted.empty() || is_address(wanted)) return wanted;
  std::string names;
  for (const auto& [interface, address, ipv6, loopback] : interface_addresses()) {
    if (interface == wanted) return address;
    if ((names + ", ").find(interface + ", ") != std::string::npos) continue;
    names += (names.empty() ? "" : ", ") + interface;
  }
  throw ConfigError(fmt::format(
      "control interface \"{}\": neither an IP address nor an interface that is up; there are {}",
      wanted, names.empty() ? "none" : names));
}

}  // namespace varve
