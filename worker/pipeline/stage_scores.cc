#include "worker/pipeline/stage_scores.h"

#include <algorithm>

#include "common/error.h"
#include "common/wire/archive.h"

namespace varve {
namespace {

struct ScoreMessage {
  std::uint64_t received = 0;  // of each other rank, at least
  std::vector<std::int64_t> sums;
};
template <class A>
void visit(A& a, ScoreMessage& m) {
  a(m.received, m.sums);
}

}  // namespace

StageScores::StageScores(Communicator& comm, std::chrono::milliseconds deadline,
                         std::function<void(int peer)> on_wait)
    : comm_(comm),
      deadline_(deadline),
      on_wait_(std::move(on_wait)),
      received_(static_cast<std::size_t>(comm.size())),
      arrived_(received_.size()) {}

std::uint64_t StageScores::give(std::span<const std::int64_t> sums) {
  const std::uint64_t number = reclaimed_ + letters_.size();
  const auto own = static_cast<std::size_t>(comm_.rank());
  received_[own] = arrived_[own] = number + 1;
  std::vector<std::int64_t>& total = sums_[number];
  if (total.empty()) total.resize(sums.size());
  VARVE_CHECK(total.size() == sums.size(), "{} scores, {} elsewhere", sums.size(), total.size());
  std::transform(sums.begin(), sums.end(), total.begin(), total.begin(), std::plus<>());
  // In its place first: the bytes must not move once they are being sent.
  Letter& letter = letters_.emplace_back();
  letter.bytes = to_bytes(ScoreMessage{*std::min_element(received_.begin(), received_.end()),
                                       {sums.begin(), sums.end()}});
  for (int peer = 0; peer < comm_.size(); ++peer) {
    if (peer == comm_.rank()) continue;
    letter.sends.push_back(comm_.send(letter.bytes, peer, Tag::kScores));
  }
  return number;
}

std::vector<std::int64_t> StageScores::take(std::uint64_t number) {
  receive_until(number + 1);
  return std::move(sums_.extract(number).mapped());
}

void StageScores::receive_until(std::uint64_t count) {
  VARVE_CHECK(count <= reclaimed_ + letters_.size(), "{} of {} given", count,
              reclaimed_ + letters_.size());
  for (int peer = 0; peer < comm_.size(); ++peer) {
    while (received_[static_cast<std::size_t>(peer)] < count) receive(peer);
  }
  reclaim(*std::min_element(arrived_.begin(), arrived_.end()));
}

void StageScores::receive(int peer) {
  on_wait_(peer);
  const std::vector<std::byte> bytes =
      comm_.recv_message(peer, Tag::kScores, {deadline_, "scores of cached rows"});
  const auto message = from_bytes<ScoreMessage>(bytes, "scores of cached rows");
  std::vector<std::int64_t>& total = sums_[received_[static_cast<std::size_t>(peer)]++];
  if (total.empty()) total.resize(message.sums.size());
  VARVE_CHECK(total.size() == message.sums.size(), "{} scores from rank {}, {} elsewhere",
              message.sums.size(), peer, total.size());
  std::transform(total.begin(), total.end(), message.sums.begin(), total.begin(), std::plus<>());
  arrived_[static_cast<std::size_t>(peer)] = message.received;
}

void StageScores::reclaim(std::uint64_t arrived) {
  for (; reclaimed_ < arrived; ++reclaimed_) {
    for (const PendingSend send : letters_.front().sends) {
      comm_.wait(send, {deadline_, "scores to leave"});
    }
    letters_.pop_front();
  }
}

void StageScores::flush() {
  const std::uint64_t all = reclaimed_ + letters_.size();
  receive_until(all);
  reclaim(all);
}

}  // namespace varve
