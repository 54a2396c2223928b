#include "tests/worker/comm/communicator_suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <thread>

#include "common/error.h"
#include "tests/support/temp_folder.h"
#include "worker/comm/placement.h"

namespace varve {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::MatchesRegex;

using Bytes = std::vector<std::byte>;

constexpr Waiting kPatient{20s, "a test message"};
constexpr std::array<std::size_t, 5> kSizes{0, 1, 4095, 1 << 20, 5 << 20};
/// Mostly small: the thread sanitizer pays dearly for each large allocation.
constexpr std::array<std::size_t, 12> kMix{0, 1,  2,      4095, 4096,    4097,
                                           0, 33, 65'537, 4095, 1 << 20, 5 << 20};

/// Bytes that tell which message they are of, and where in it.
Bytes pattern(std::size_t size, std::uint64_t seed) {
  std::vector<std::uint64_t> words(size / 8 + 1);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (std::uint64_t& word : words) {
    state = state * 6364136223846793005 + 1442695040888963407;
    word = state;
  }
  const auto bytes = std::as_bytes(std::span(words)).first(size);
  return {bytes.data(), bytes.data() + bytes.size()};
}

/// memcmp: comparing element by element takes minutes under the thread sanitizer.
bool same(const Bytes& a, const Bytes& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

template <class Call>
std::string error_of(Call call) {
  try {
    call();
  } catch (const PeerError& error) {
    return error.what();
  }
  return "no error";
}

void meet(Communicator& c) {
  Bytes token(1);
  c.gather(token, 0, Tag::kTest, kPatient);
  c.broadcast(token, 0, Tag::kTest, kPatient);
}

void every_pair_and_size(Communicator& c) {
  for (std::size_t size : kSizes) {
    std::vector<Bytes> sent;
    std::vector<PendingSend> sends;
    for (int peer = 0; peer < c.size(); ++peer) {
      sent.push_back(pattern(size, static_cast<std::uint64_t>(c.rank() * 10 + peer)));
      sends.push_back(c.send(sent.back(), peer, Tag::kTest));
    }
    for (int peer = 0; peer < c.size(); ++peer) {
      Bytes got(size);
      c.recv(got, peer, Tag::kTest, kPatient);
      EXPECT_TRUE(same(got, pattern(size, static_cast<std::uint64_t>(peer * 10 + c.rank()))))
          << size << " bytes from " << peer << " to " << c.rank();
    }
    for (PendingSend send : sends) c.wait(send, kPatient);
  }
}

struct Planned {
  std::size_t index;
  int from, to;
  Tag tag;
  std::size_t size;
};

/// The same list on every rank.
std::vector<Planned> random_plan(int ranks, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  constexpr std::array kTags{Tag::kStepHeader, Tag::kActivations, Tag::kTest};
  std::vector<Planned> plan;
  for (std::size_t i = 0; i < 40; ++i) {
    const auto pick = [&](std::size_t n) { return random() % n; };
    const auto ranks_u = static_cast<std::size_t>(ranks);
    plan.push_back({i, static_cast<int>(pick(ranks_u)), static_cast<int>(pick(ranks_u)),
                    kTags[pick(kTags.size())], kMix[pick(kMix.size())]});
  }
  return plan;
}

void maybe_sleep(std::mt19937_64& random) {
  if (random() % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
}

/// Receives in an order of its own that keeps the order within each (source, tag).
std::vector<Planned> receive_order(const std::vector<Planned>& plan, int rank,
                                   std::mt19937_64& random) {
  std::map<std::pair<int, Tag>, std::vector<Planned>> queues;
  for (const Planned& message : plan) {
    if (message.to == rank) queues[{message.from, message.tag}].push_back(message);
  }
  std::vector<Planned> order;
  while (!queues.empty()) {
    const auto queue = std::next(queues.begin(), static_cast<long>(random() % queues.size()));
    order.push_back(queue->second.front());
    queue->second.erase(queue->second.begin());
    if (queue->second.empty()) queues.erase(queue);
  }
  return order;
}

void interleave(Communicator& c, std::uint64_t seed) {
  std::mt19937_64 random(seed * 100 + static_cast<std::uint64_t>(c.rank()));
  const std::vector<Planned> plan = random_plan(c.size(), seed);
  std::vector<Bytes> sent;
  std::vector<PendingSend> sends;
  for (const Planned& message : plan) {
    if (message.from != c.rank()) continue;
    maybe_sleep(random);
    sent.push_back(pattern(message.size, message.index));
    sends.push_back(c.send(sent.back(), message.to, message.tag));
  }
  for (const Planned& message : receive_order(plan, c.rank(), random)) {
    maybe_sleep(random);
    Bytes got(message.size);
    if (random() % 2 == 0) {
      c.recv(got, message.from, message.tag, kPatient);
    } else {
      got = c.recv_message(message.from, message.tag, kPatient);
    }
    EXPECT_TRUE(same(got, pattern(message.size, message.index)))
        << "message " << message.index << " of seed " << seed << " at rank " << c.rank();
  }
  std::shuffle(sends.begin(), sends.end(), random);
  for (PendingSend send : sends) c.wait(send, kPatient);
}

void random_interleavings(Communicator& c) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) interleave(c, seed);
}

void order_of_one_tag_is_kept(Communicator& c) {
  constexpr int kMessages = 300;
  const int next = (c.rank() + 1) % c.size();
  const int previous = (c.rank() + c.size() - 1) % c.size();
  std::vector<Bytes> sent;
  std::vector<PendingSend> sends;
  for (int i = 0; i < kMessages; ++i) {
    // Small and large ones mixed: transports treat them differently.
    sent.push_back(pattern(i % 7 == 0 ? 20'000 : 8, static_cast<std::uint64_t>(i)));
    sends.push_back(c.send(sent.back(), next, Tag::kTest));
  }
  for (int i = 0; i < kMessages; ++i) {
    const Bytes got = c.recv_message(previous, Tag::kTest, kPatient);
    ASSERT_TRUE(same(got, sent[static_cast<std::size_t>(i)])) << "message " << i;
  }
  for (PendingSend send : sends) c.wait(send, kPatient);
}

void deadlines_name_the_peer(Communicator& c) {
  const int peer = (c.rank() + 1) % c.size();
  const std::string self = std::to_string(c.rank());
  const std::string other = std::to_string(peer);
  Bytes into(4095);
  EXPECT_THAT(error_of([&] {
                c.recv(into, peer, Tag::kActivations, {30ms, "step 17"});
              }),
              MatchesRegex("rank " + self + " waited [0-9]+ ms for rank " + other +
                           ": step 17 \\(kActivations, 4095 bytes\\)"));
  EXPECT_THAT(error_of([&] {
                c.recv_message(peer, Tag::kTokens, {0ms, "a token"});
              }),
              MatchesRegex("rank " + self + " waited [0-9]+ ms for rank " + other +
                           ": a token \\(kTokens\\)"));
  // The communicator is as good as before.
  meet(c);
}

void a_send_that_nobody_takes(Communicator& c) {
  const Bytes bytes = pattern(5 << 20, 3);
  if (c.rank() == 0) {
    const PendingSend send = c.send(bytes, 1, Tag::kActivations);
    EXPECT_THAT(error_of([&] {
                  c.wait(send, {50ms, "activations of step 3"});
                }),
                MatchesRegex("rank 0 waited [0-9]+ ms for rank 1 to take: activations of step 3 "
                             "\\(kActivations, 5242880 bytes\\)"));
    meet(c);
    c.wait(send, kPatient);
  } else {
    meet(c);
    if (c.rank() == 1) {
      Bytes got(bytes.size());
      c.recv(got, 0, Tag::kActivations, kPatient);
      EXPECT_TRUE(same(got, bytes));
    }
  }
}

void another_size_names_both(Communicator& c) {
  const int peer = (c.rank() + 1) % c.size();
  const int source = (c.rank() + c.size() - 1) % c.size();
  const Bytes bytes = pattern(6001, 1);
  const PendingSend send = c.send(bytes, peer, Tag::kActivations);
  for (std::size_t wrong : {std::size_t{0}, std::size_t{6000}, std::size_t{6002}}) {
    Bytes into(wrong);
    EXPECT_EQ(error_of([&] {
                c.recv(into, source, Tag::kActivations, {20s, "step 4"});
              }),
              "rank " + std::to_string(c.rank()) + " expects " + std::to_string(wrong) +
                  " bytes from rank " + std::to_string(source) +
                  " but 6001 arrived: step 4 (kActivations)");
  }
  EXPECT_TRUE(same(c.recv_message(source, Tag::kActivations, kPatient), bytes));
  c.wait(send, kPatient);
}

void cancel_ends_every_wait(Communicator& c) {
  const int peer = c.rank();  // which cannot have left before
  std::thread other([&] {
    std::this_thread::sleep_for(30ms);
    c.cancel("rank 7 was lost");
    c.cancel("a later reason does not replace the first");
  });
  Bytes into(8);
  EXPECT_THAT(error_of([&] {
                c.recv(into, peer, Tag::kTest, {60s, "nothing"});
              }),
              MatchesRegex("rank . waited [0-9]+ ms for rank .: nothing \\(kTest, 8 bytes\\): "
                           "rank 7 was lost"));
  other.join();
  for (int again = 0; again < 2; ++again) {
    EXPECT_THAT(error_of([&] {
                  c.recv_message(peer, Tag::kTest, {60s, "nothing"});
                }),
                HasSubstr("rank 7 was lost"));
  }
  EXPECT_THAT(error_of([&] { c.send(into, peer, Tag::kTest); }), HasSubstr("rank 7 was lost"));
}

void collectives(Communicator& c) {
  for (int root = 0; root < c.size(); ++root) {
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 20}) {
      Bytes bytes = c.rank() == root ? pattern(size, 5) : pattern(3, 6);
      c.broadcast(bytes, root, Tag::kPlan, kPatient);
      EXPECT_TRUE(same(bytes, pattern(size, 5))) << "root " << root << ", " << size << " bytes";

      const auto mine = static_cast<std::size_t>(c.rank());
      const auto all = c.gather(pattern(size + mine, mine), root, Tag::kReport, kPatient);
      ASSERT_EQ(all.size(), c.rank() == root ? static_cast<std::size_t>(c.size()) : 0);
      for (std::size_t r = 0; r < all.size(); ++r) EXPECT_TRUE(same(all[r], pattern(size + r, r)));
    }
  }
}

void a_collective_without_its_root(Communicator& c) {
  if (c.rank() > 0) {
    Bytes bytes;
    EXPECT_THAT(error_of([&] {
                  c.broadcast(bytes, 0, Tag::kPlan, {30ms, "the plan"});
                }),
                MatchesRegex("rank . waited [0-9]+ ms for rank 0: the plan \\(kPlan\\)"));
  }
  meet(c);
}

void traffic_is_counted(Communicator& c) {
  const auto of = [&](Tag tag) { return c.traffic().by_tag[static_cast<std::size_t>(tag)]; };
  const int peer = (c.rank() + 1) % c.size();
  const int source = (c.rank() + c.size() - 1) % c.size();
  const std::array sends{Bytes(5), Bytes(7000), Bytes(0)};
  std::vector<PendingSend> pending;
  for (const Bytes& bytes : sends) pending.push_back(c.send(bytes, peer, Tag::kStepHeader));
  for (std::size_t i = 0; i < sends.size(); ++i) {
    c.recv_message(source, Tag::kStepHeader, kPatient);
  }
  for (PendingSend send : pending) c.wait(send, kPatient);
  EXPECT_EQ(of(Tag::kStepHeader).bytes, 7005U);
  EXPECT_EQ(of(Tag::kStepHeader).messages, 3U);
  EXPECT_EQ(of(Tag::kActivations).messages, 0U);

  Bytes bytes(100);
  c.broadcast(bytes, 0, Tag::kPlan, kPatient);
  const auto others = static_cast<std::uint64_t>(c.size() - 1);
  EXPECT_EQ(of(Tag::kPlan).messages, c.rank() == 0 ? others : 0);
  EXPECT_EQ(of(Tag::kPlan).bytes, c.rank() == 0 ? 100 * others : 0);
}

void arrived_does_not_wait(Communicator& c) {
  const int peer = (c.rank() + 1) % c.size();
  const int source = (c.rank() + c.size() - 1) % c.size();
  EXPECT_FALSE(c.arrived(source, Tag::kCredit));
  meet(c);
  const PendingSend send = c.send(Bytes(), peer, Tag::kCredit);
  const auto late = std::chrono::steady_clock::now() + 20s;
  while (!c.arrived(source, Tag::kCredit) && std::chrono::steady_clock::now() < late) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(c.arrived(source, Tag::kCredit));
  EXPECT_FALSE(c.arrived(source, Tag::kTokens));
  c.recv({}, source, Tag::kCredit, kPatient);
  EXPECT_FALSE(c.arrived(source, Tag::kCredit));
  c.wait(send, kPatient);
}

/// Rank 0 does not call in again until rank 1 says, past the transport (it makes a file), that it
/// has the bytes.
void a_send_progresses_while_its_rank_computes(Communicator& c) {
  const Bytes bytes = pattern(4 << 20, 9);
  if (c.rank() == 0) {
    const TempFolder folder;
    const std::string word = (folder / "received").string();
    c.wait(c.send(std::as_bytes(std::span(word)), 1, Tag::kTest), kPatient);
    const PendingSend send = c.send(bytes, 1, Tag::kActivations);
    const auto late = std::chrono::steady_clock::now() + 15s;
    bool received = false;
    while (!received && std::chrono::steady_clock::now() < late) {
      received = std::filesystem::exists(word);
    }
    EXPECT_TRUE(received) << "the bytes do not come before rank 0 calls in again";
    c.wait(send, kPatient);
    c.recv({}, 1, Tag::kTest, kPatient);
  } else if (c.rank() == 1) {
    const Bytes word = c.recv_message(0, Tag::kTest, kPatient);
    Bytes into(bytes.size());
    c.recv(into, 0, Tag::kActivations, kPatient);
    std::ofstream(std::string(reinterpret_cast<const char*>(word.data()), word.size()));
    EXPECT_TRUE(same(into, bytes));
    c.wait(c.send({}, 0, Tag::kTest), kPatient);
  }
}

void misuse_is_a_bug(Communicator& c) {
  Bytes bytes(1);
  EXPECT_THROW(c.send(bytes, c.size(), Tag::kTest), std::logic_error);
  EXPECT_THROW(c.recv(bytes, -1, Tag::kTest, kPatient), std::logic_error);
  EXPECT_THROW(c.recv_message(0, Tag::kCount, kPatient), std::logic_error);
  EXPECT_THROW(c.arrived(c.size(), Tag::kTest), std::logic_error);
  EXPECT_THROW(c.broadcast(bytes, c.size(), Tag::kTest, kPatient), std::logic_error);
  EXPECT_THROW(c.gather(bytes, -1, Tag::kTest, kPatient), std::logic_error);
  const PendingSend send = c.send(bytes, c.rank(), Tag::kTest);
  c.recv(bytes, c.rank(), Tag::kTest, kPatient);
  c.wait(send, kPatient);
  EXPECT_THROW(c.wait(send, kPatient), std::logic_error);
}

void placement_is_exchanged(Communicator& c) {
  const std::string host = c.rank() % 2 == 0 ? "even" : "odd";
  const auto placements = exchange_placement(c, host, kPatient);
  ASSERT_EQ(placements.size(), static_cast<std::size_t>(c.size()));
  for (int r = 0; r < c.size(); ++r) {
    const Placement& placement = placements[static_cast<std::size_t>(r)];
    EXPECT_EQ(placement.host, r % 2 == 0 ? "even" : "odd");
    EXPECT_EQ(placement.local_rank, r / 2);
    EXPECT_EQ(placement.local_size, r % 2 == 0 ? (c.size() + 1) / 2 : c.size() / 2);
  }
}

}  // namespace

const std::vector<CommunicatorCase>& communicator_cases() {
  static const std::vector<CommunicatorCase> cases{
      {"EveryPairAndSize", 1, every_pair_and_size},
      {"RandomInterleavings", 1, random_interleavings},
      {"OrderOfOneTagIsKept", 1, order_of_one_tag_is_kept},
      {"DeadlinesNameThePeer", 1, deadlines_name_the_peer},
      {"ASendThatNobodyTakes", 2, a_send_that_nobody_takes},
      {"AnotherSizeNamesBoth", 1, another_size_names_both},
      {"CancelEndsEveryWait", 1, cancel_ends_every_wait},
      {"Collectives", 1, collectives},
      {"ACollectiveWithoutItsRoot", 1, a_collective_without_its_root},
      {"TrafficIsCounted", 1, traffic_is_counted},
      {"ArrivedDoesNotWait", 1, arrived_does_not_wait},
      {"ASendProgressesWhileItsRankComputes", 2, a_send_progresses_while_its_rank_computes},
      {"MisuseIsABug", 1, misuse_is_a_bug},
      {"PlacementIsExchanged", 1, placement_is_exchanged},
  };
  return cases;
}

}  // namespace varve
