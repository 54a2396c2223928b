#include "worker/comm/communicator_base.h"

#include <fmt/format.h>

#include "common/error.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;

/// One deadline for a collective, not one per peer.
Waiting remaining(Clock::time_point deadline, std::string_view what) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return {std::max(left, std::chrono::milliseconds(0)), what};
}

std::string label(const Awaited& awaited) {
  return awaited.bytes ? fmt::format("{}, {} bytes", tag_name(awaited.tag), *awaited.bytes)
                       : std::string(tag_name(awaited.tag));
}

}  // namespace

std::string waited_text(Clock::duration waited) {
  const double seconds = std::chrono::duration<double>(waited).count();
  return seconds < 1.0 ? fmt::format("{:.0f} ms", seconds * 1e3) : fmt::format("{:.1f} s", seconds);
}

std::string wait_error(int rank, const Awaited& awaited, std::string_view what,
                       Clock::time_point since, std::string_view reason) {
  return fmt::format("rank {} waited {} for rank {}{}: {} ({}){}{}", rank,
                     waited_text(Clock::now() - since), awaited.peer,
                     awaited.sending ? " to take" : "", what, label(awaited),
                     reason.empty() ? "" : ": ", reason);
}

void CommunicatorBase::broadcast(std::vector<std::byte>& bytes, int root, Tag tag,
                                 Waiting waiting) {
  check_address(root, tag);
  if (rank() != root) {
    bytes = recv_message(root, tag, waiting);
    return;
  }
  const auto deadline = Clock::now() + waiting.limit;
  std::vector<PendingSend> sends;
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != root) sends.push_back(send(bytes, peer, tag));
  }
  for (PendingSend pending : sends) wait(pending, remaining(deadline, waiting.what));
}

std::vector<std::vector<std::byte>> CommunicatorBase::gather(std::span<const std::byte> bytes,
                                                             int root, Tag tag, Waiting waiting) {
  check_address(root, tag);
  if (rank() != root) {
    wait(send(bytes, root, tag), waiting);
    return {};
  }
  const auto deadline = Clock::now() + waiting.limit;
  std::vector<std::vector<std::byte>> all;
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == root) {
      all.emplace_back(bytes.begin(), bytes.end());
    } else {
      all.push_back(recv_message(peer, tag, remaining(deadline, waiting.what)));
    }
  }
  return all;
}

void CommunicatorBase::check_address(int peer, Tag tag) const {
  VARVE_CHECK(peer >= 0 && peer < size(), "rank {} addresses rank {} of {}", rank(), peer, size());
  VARVE_CHECK(tag < Tag::kCount, "tag {} is not in the enum", static_cast<int>(tag));
}

void CommunicatorBase::count_sent(std::size_t bytes, Tag tag) {
  auto& count = traffic_.by_tag[static_cast<std::size_t>(tag)];
  count.bytes += bytes;
  ++count.messages;
}

void CommunicatorBase::fail(const Awaited& awaited, std::string_view what, Clock::time_point since,
                            std::string_view reason) const {
  throw PeerError(wait_error(rank(), awaited, what, since, reason));
}

void CommunicatorBase::fail_size(const Awaited& awaited, std::string_view what,
                                 std::size_t arrived) const {
  throw PeerError(fmt::format("rank {} expects {} bytes from rank {} but {} arrived: {} ({})",
                              rank(), awaited.bytes.value_or(0), awaited.peer, arrived, what,
                              tag_name(awaited.tag)));
}

}  // namespace varve
