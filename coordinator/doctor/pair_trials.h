// Every rank exchanges with every other one, timed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/archive.h"
#include "worker/comm/communicator.h"

namespace varve {

class Ops;

/// Of two ranks, `low` < `high`.
struct PairTrial {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  double seconds = 0;           // one way, of a small message
  double bytes_per_second = 0;  // one way, of a large one
  std::string error;            // why there are no figures, or empty
};
template <class A>
void visit(A& a, PairTrial& t) {
  a(t.low, t.high, t.seconds, t.bytes_per_second, t.error);
}

/// Rounds in which every rank meets each other one once, and nobody two at a time.
std::vector<std::vector<std::pair<int, int>>> rounds_of(int ranks);

/// Bytes of the largest message.
inline constexpr std::size_t kTrialBytes = std::size_t{8} << 20U;

/// One exchange of this rank with a peer, who does the same with this rank.
using Exchange = std::function<PairTrial(int peer)>;

/// All pairs, round by round. At rank 0 all trials, by pair; elsewhere empty. `waiting` is for a
/// round. What an exchange throws ends it.
std::vector<PairTrial> try_pairs(Communicator& comm, const Exchange& exchange, Waiting waiting);

/// By `comm` itself: 8 bytes to and fro, and kTrialBytes, several times. `memory`, of kTrialBytes
/// at least, must outlive `comm`: a PeerError may leave a send under way, and is the end of both.
PairTrial exchange_messages(Communicator& comm, std::span<std::byte> memory, int peer,
                            Waiting waiting);

/// The same from device to device over NCCL. An error is the trial's, and `comm` is as before.
PairTrial exchange_on_devices(Communicator& comm, Ops& ops, int peer, Waiting waiting);

}  // namespace varve
