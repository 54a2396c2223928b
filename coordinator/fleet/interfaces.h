// The addresses of this machine's network interfaces that are up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct InterfaceAddress {
  std::string interface;  // "eth0"
  std::string address;    // "192.0.2.7", "2001:db8::1"
  bool ipv6 = false;
  bool loopback = false;
};

/// Routable ones first, IPv4 before IPv6, loopback last. Without link-local IPv6 addresses, which
/// mean nothing on another machine.
std::vector<InterfaceAddress> interface_addresses();

/// What to bind to: `where` is an IP address, the name of an interface (its IPv4 address, else its
/// IPv6 one), or empty (empty result: all). ConfigError if it is none of these, listing the names.
std::string resolve_bind_address(std::string_view where);

}  // namespace varve
