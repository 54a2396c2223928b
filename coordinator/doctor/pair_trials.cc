#include "coordinator/doctor/pair_trials.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <tuple>

#include "common/error.h"
#include "kernels/ops.h"
#include "worker/comm/gather_values.h"
#include "worker/comm/nccl/nccl_rows.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSmallMessages = 100;
constexpr int kLargeMessages = 4;
constexpr std::size_t kSmall = 8;
constexpr std::size_t kLarge = kTrialBytes;

PairTrial trial_of(int rank, int peer) {
  return {.low = static_cast<std::uint32_t>(std::min(rank, peer)),
          .high = static_cast<std::uint32_t>(std::max(rank, peer)),
          .error = {}};
}

/// Both directions of a link, for messages of up to kLarge bytes.
struct Way {
  std::function<void(std::size_t bytes)> send;
  std::function<void(std::size_t bytes)> receive;
};

struct Trials {
  std::vector<PairTrial> all;
};
template <class A>
void visit(A& a, Trials& t) {
  a(t.all);
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The lower rank times; the first message of each kind, which may set things up, does not count.
void time_way(const Way& way, bool times, PairTrial& trial) {
  const auto ping = [&] {
    times ? way.send(kSmall) : way.receive(kSmall);
    times ? way.receive(kSmall) : way.send(kSmall);
  };
  ping();
  auto begin = Clock::now();
  for (int i = 0; i < kSmallMessages; ++i) ping();
  trial.seconds = seconds_since(begin) / (2 * kSmallMessages);
  for (int i = -1; i < kLargeMessages; ++i) {
    if (i == 0) begin = Clock::now();
    times ? way.send(kLarge) : way.receive(kLarge);
    times ? way.receive(kSmall) : way.send(kSmall);
  }
  trial.bytes_per_second = static_cast<double>(kLarge) * kLargeMessages / seconds_since(begin);
}

}  // namespace

// The circle method: one rank stays, the others turn round it. Of an odd number one has a pause.
std::vector<std::vector<std::pair<int, int>>> rounds_of(int ranks) {
  const int seats = ranks + ranks % 2;
  std::vector<std::vector<std::pair<int, int>>> rounds;
  for (int round = 0; round + 1 < seats; ++round) {
    std::vector<std::pair<int, int>>& pairs = rounds.emplace_back();
    const auto seat = [&](int i) { return i == 0 ? 0 : 1 + (i - 1 + round) % (seats - 1); };
    for (int i = 0; i < seats / 2; ++i) {
      const auto [low, high] = std::minmax({seat(i), seat(seats - 1 - i)});
      if (high < ranks) pairs.emplace_back(low, high);
    }
  }
  return rounds;
}

std::vector<PairTrial> try_pairs(Communicator& comm, const Exchange& exchange, Waiting waiting) {
  Trials mine;
  for (const auto& round : rounds_of(comm.size())) {
    // Together: a pair that is late would be another one's waiting time.
    comm.gather({}, 0, Tag::kMachines, waiting);
    std::vector<std::byte> go;
    comm.broadcast(go, 0, Tag::kMachines, waiting);
    for (const auto& [low, high] : round) {
      if (low != comm.rank() && high != comm.rank()) continue;
      const int peer = low == comm.rank() ? high : low;
      PairTrial trial = exchange(peer);
      if (low == comm.rank() || !trial.error.empty()) mine.all.push_back(std::move(trial));
    }
  }
  std::vector<PairTrial> all;
  for (const Trials& of_rank : gather_values(comm, mine, 0, Tag::kMachines, waiting, "trials")) {
    all.insert(all.end(), of_rank.all.begin(), of_rank.all.end());
  }
  // Of a pair, an error before figures: one end may not have noticed.
  std::sort(all.begin(), all.end(), [](const PairTrial& x, const PairTrial& y) {
    return std::tuple(x.low, x.high, x.error.empty()) < std::tuple(y.low, y.high, y.error.empty());
  });
  const auto last = std::unique(all.begin(), all.end(), [](const PairTrial& x, const PairTrial& y) {
    return x.low == y.low && x.high == y.high;
  });
  all.erase(last, all.end());
  return all;
}

PairTrial exchange_messages(Communicator& comm, std::span<std::byte> memory, int peer,
                            Waiting waiting) {
  VARVE_CHECK(memory.size() >= kLarge, "{} bytes for messages of {}", memory.size(), kLarge);
  const Way way{
      [&](std::size_t bytes) {
        comm.wait(comm.send(memory.first(bytes), peer, Tag::kTrial), waiting);
      },
      [&](std::size_t bytes) { comm.recv(memory.first(bytes), peer, Tag::kTrial, waiting); }};
  PairTrial trial = trial_of(comm.rank(), peer);
  time_way(way, comm.rank() < peer, trial);
  return trial;
}

namespace {

void time_devices(Communicator& comm, Ops& ops, int peer, Waiting waiting, PairTrial& trial) {
  constexpr std::size_t kFloats = kLarge / sizeof(float);
  const Buffer memory = ops.allocate(kLarge);
  const auto rows = make_nccl_rows(comm, std::array{peer}, ops.queue(), waiting);
  const auto sender = rows->sender(peer, kFloats, 1);
  const auto receiver = rows->receiver(peer, kFloats);
  const auto floats = [&](std::size_t bytes) {
    return std::span(memory.as<float>(), bytes / sizeof(float));
  };
  const Way way{[&](std::size_t bytes) {
                  sender->send(0, floats(bytes));
                  sender->wait(0, waiting);
                },
                [&](std::size_t bytes) { receiver->receive(floats(bytes), waiting); }};
  time_way(way, comm.rank() < peer, trial);
}

}  // namespace

PairTrial exchange_on_devices(Communicator& comm, Ops& ops, int peer, Waiting waiting) {
  PairTrial trial = trial_of(comm.rank(), peer);
  try {
    time_devices(comm, ops, peer, waiting, trial);
  } catch (const Error& error) {
    trial.error = error.what();
  }
  return trial;
}

}  // namespace varve
