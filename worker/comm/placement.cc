#include "worker/comm/placement.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "common/error.h"

namespace varve {
namespace {

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A host name holds no line break, so one separates them.
constexpr char kSeparator = '\n';

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(kSeparator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

}  // namespace

std::vector<Placement> place(std::span<const std::string> hosts) {
  std::map<std::string_view, int> sizes;
  std::vector<Placement> placements;
  for (const std::string& host : hosts) placements.push_back({host, sizes[host]++, 0});
  for (Placement& placement : placements) placement.local_size = sizes[placement.host];
  return placements;
}

std::vector<Placement> exchange_placement(Communicator& communicator, std::string_view host,
                                          Waiting waiting) {
  VARVE_CHECK(!host.empty() && host.find(kSeparator) == host.npos, "host name '{}'", host);
  std::vector<std::byte> all;
  for (const auto& name : communicator.gather(as_bytes(host), 0, Tag::kBootstrap, waiting)) {
    all.insert(all.end(), name.begin(), name.end());
    all.push_back(static_cast<std::byte>(kSeparator));
  }
  communicator.broadcast(all, 0, Tag::kBootstrap, waiting);
  const std::vector<std::string> hosts = split(as_text(all));
  VARVE_CHECK(hosts.size() == static_cast<std::size_t>(communicator.size()),
              "{} host names for {} ranks", hosts.size(), communicator.size());
  return place(hosts);
}

}  // namespace varve
