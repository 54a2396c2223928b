#include "worker/comm/thread_communicator.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <utility>

#include "common/error.h"
#include "worker/comm/communicator_base.h"

namespace varve {
namespace {

using Clock = std::chrono::steady_clock;

std::string_view view(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Message {
  std::vector<std::byte> bytes;
  Clock::time_point visible;  // not before this
  std::uint64_t send_id;
};

/// The messages of one (source, tag) to one rank, oldest first.
using Queue = std::deque<Message>;

/// What one rank waits on. All fields are guarded by `mutex`; `changed` is signalled when one of
/// them, or `left` of a peer, changes.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int, Tag>, Queue> queues;
  std::vector<std::uint64_t> taken;  // ids of this rank's own sends that their receivers took
  std::vector<bool> left;            // by rank
  std::optional<std::string> cancelled;
  bool handed_out = false;
};

}  // namespace

struct ThreadWorld::State {
  State(int size, ThreadOptions opts) : options(opts), boxes(static_cast<std::size_t>(size)) {
    for (Mailbox& box : boxes) box.left.assign(boxes.size(), false);
  }
  Mailbox& box(int rank) { return boxes[static_cast<std::size_t>(rank)]; }

  const ThreadOptions options;
  std::vector<Mailbox> boxes;
};

namespace {

struct Send {
  int peer;
  Tag tag;
  std::size_t bytes;
  bool eager;
  std::span<const std::byte> source;  // the caller's, read only to check that it was left alone
  std::size_t hash;
};

class ThreadCommunicator final : public CommunicatorBase {
 public:
  ThreadCommunicator(std::shared_ptr<ThreadWorld::State> state, int rank)
      : state_(std::move(state)), rank_(rank), own_(state_->box(rank)) {
    const std::uint64_t seed = state_->options.faults.seed;
    std::seed_seq seeds{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                        static_cast<std::uint32_t>(rank)};
    random_.seed(seeds);
  }
  ~ThreadCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(state_->boxes.size()); }
  PendingSend send(std::span<const std::byte> bytes, int peer, Tag tag) override;
  void wait(PendingSend send, Waiting waiting) override;
  void recv(std::span<std::byte> into, int peer, Tag tag, Waiting waiting) override;
  std::vector<std::byte> recv_message(int peer, Tag tag, Waiting waiting) override;
  bool arrived(int peer, Tag tag) override;
  void cancel(const std::string& reason) override;
  std::optional<std::string> cancelled() const override;

 private:
  void throw_if_cancelled(const Awaited& awaited, std::string_view what,
                          Clock::time_point since) const;
  void deliver(Message message, int peer, Tag tag);
  bool dropped(Tag tag);
  Clock::duration delay();
  /// Waits until a message of that kind is visible and returns its queue; the lock is held.
  Queue& wait_for_message(std::unique_lock<std::mutex>& lock, const Awaited& awaited,
                          Waiting waiting);
  Message take(Queue& queue);
  void acknowledge(const Message& message, int peer);

  std::shared_ptr<ThreadWorld::State> state_;
  const int rank_;
  Mailbox& own_;
  std::mt19937_64 random_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Send> sends_;
};

ThreadCommunicator::~ThreadCommunicator() {
  for (Mailbox& box : state_->boxes) {
    const std::lock_guard lock(box.mutex);
    box.left[static_cast<std::size_t>(rank_)] = true;
    box.changed.notify_all();
  }
}

PendingSend ThreadCommunicator::send(std::span<const std::byte> bytes, int peer, Tag tag) {
  check_address(peer, tag);
  const Awaited awaited{peer, tag, bytes.size(), true};
  {
    const std::lock_guard lock(own_.mutex);
    throw_if_cancelled(awaited, "a send", Clock::now());
  }
  count_sent(bytes.size(), tag);
  const std::uint64_t id = next_id_++;
  const bool eager = bytes.size() <= state_->options.eager_bytes;
  Send send{peer, tag, bytes.size(), eager, {}, 0};
  if (state_->options.check_sent_bytes) {
    send.source = bytes;
    send.hash = std::hash<std::string_view>{}(view(bytes));
  }
  sends_.emplace(id, send);
  // A copy even of a large message: the receiver never reads bytes that an exception here freed.
  Message message{
      {bytes.data(), bytes.data() + bytes.size()}, Clock::now() + delay(), eager ? 0 : id};
  if (!dropped(tag)) deliver(std::move(message), peer, tag);
  return {id};
}

void ThreadCommunicator::deliver(Message message, int peer, Tag tag) {
  Mailbox& box = state_->box(peer);
  const std::lock_guard lock(box.mutex);
  Queue& queue = box.queues[{rank_, tag}];
  if (!queue.empty()) message.visible = std::max(message.visible, queue.back().visible);
  queue.push_back(std::move(message));
  box.changed.notify_all();
}

bool ThreadCommunicator::dropped(Tag tag) {
  const Faults& faults = state_->options.faults;
  const bool unlucky = faults.drop > 0 && std::bernoulli_distribution(faults.drop)(random_);
  return unlucky && faults.drop_only.value_or(tag) == tag;
}

Clock::duration ThreadCommunicator::delay() {
  const auto max = state_->options.faults.max_delay.count();
  if (max == 0) return {};
  return std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(0, max)(random_));
}

void ThreadCommunicator::wait(PendingSend pending, Waiting waiting) {
  const auto entry = sends_.find(pending.id);
  VARVE_CHECK(entry != sends_.end(), "rank {} waits for send {}, which is not pending", rank_,
              pending.id);
  const Send& send = entry->second;
  const auto since = Clock::now();
  const Awaited awaited{send.peer, send.tag, send.bytes, true};
  std::unique_lock lock(own_.mutex);
  throw_if_cancelled(awaited, waiting.what, since);
  const auto taken = [&] { return std::erase(own_.taken, pending.id) > 0; };
  while (!send.eager && !taken()) {
    if (own_.left[static_cast<std::size_t>(send.peer)]) {
      fail(awaited, waiting.what, since, fmt::format("rank {} has left", send.peer));
    }
    const bool late =
        own_.changed.wait_until(lock, since + waiting.limit) == std::cv_status::timeout;
    throw_if_cancelled(awaited, waiting.what, since);
    if (late) {
      if (taken()) break;
      fail(awaited, waiting.what, since);
    }
  }
  VARVE_CHECK(!state_->options.check_sent_bytes ||
                  std::hash<std::string_view>{}(view(send.source)) == send.hash,
              "rank {} wrote into the {} bytes of a {} to rank {} before it was sent", rank_,
              send.bytes, tag_name(send.tag), send.peer);
  sends_.erase(entry);
}

void ThreadCommunicator::recv(std::span<std::byte> into, int peer, Tag tag, Waiting waiting) {
  const Awaited awaited{peer, tag, into.size(), false};
  std::unique_lock lock(own_.mutex);
  Queue& queue = wait_for_message(lock, awaited, waiting);
  const std::size_t size = queue.front().bytes.size();
  if (size != into.size()) fail_size(awaited, waiting.what, size);
  const Message message = take(queue);
  lock.unlock();
  if (!into.empty()) std::memcpy(into.data(), message.bytes.data(), into.size());
  acknowledge(message, peer);
}

std::vector<std::byte> ThreadCommunicator::recv_message(int peer, Tag tag, Waiting waiting) {
  std::unique_lock lock(own_.mutex);
  Message message = take(wait_for_message(lock, {peer, tag, std::nullopt, false}, waiting));
  lock.unlock();
  acknowledge(message, peer);
  return std::move(message.bytes);
}

bool ThreadCommunicator::arrived(int peer, Tag tag) {
  check_address(peer, tag);
  const std::lock_guard lock(own_.mutex);
  const auto entry = own_.queues.find({peer, tag});
  return entry != own_.queues.end() && !entry->second.empty() &&
         entry->second.front().visible <= Clock::now();
}

void ThreadCommunicator::cancel(const std::string& reason) {
  const std::lock_guard lock(own_.mutex);
  if (!own_.cancelled) own_.cancelled = reason;
  own_.changed.notify_all();
}

std::optional<std::string> ThreadCommunicator::cancelled() const {
  const std::lock_guard lock(own_.mutex);
  return own_.cancelled;
}

void ThreadCommunicator::throw_if_cancelled(const Awaited& awaited, std::string_view what,
                                            Clock::time_point since) const {
  if (own_.cancelled) fail(awaited, what, since, *own_.cancelled);
}

Queue& ThreadCommunicator::wait_for_message(std::unique_lock<std::mutex>& lock,
                                            const Awaited& awaited, Waiting waiting) {
  check_address(awaited.peer, awaited.tag);
  const auto since = Clock::now();
  const auto deadline = since + waiting.limit;
  Queue& queue = own_.queues[{awaited.peer, awaited.tag}];
  while (true) {
    throw_if_cancelled(awaited, waiting.what, since);
    const auto now = Clock::now();
    if (!queue.empty() && queue.front().visible <= now) return queue;
    if (queue.empty() && own_.left[static_cast<std::size_t>(awaited.peer)]) {
      fail(awaited, waiting.what, since, fmt::format("rank {} has left", awaited.peer));
    }
    if (now >= deadline) fail(awaited, waiting.what, since);
    const auto next = queue.empty() ? deadline : std::min(deadline, queue.front().visible);
    own_.changed.wait_until(lock, next);
  }
}

Message ThreadCommunicator::take(Queue& queue) {
  Message message = std::move(queue.front());
  queue.pop_front();
  return message;
}

void ThreadCommunicator::acknowledge(const Message& message, int peer) {
  if (message.send_id == 0) return;
  Mailbox& box = state_->box(peer);
  const std::lock_guard lock(box.mutex);
  box.taken.push_back(message.send_id);
  box.changed.notify_all();
}

}  // namespace

ThreadWorld::ThreadWorld(int size, ThreadOptions options) {
  VARVE_CHECK(size >= 1, "a world of {} ranks", size);
  const double drop = options.faults.drop;
  VARVE_CHECK(drop >= 0 && drop <= 1, "a share of {} dropped messages", drop);
  state_ = std::make_shared<State>(size, options);
}

ThreadWorld::~ThreadWorld() = default;

int ThreadWorld::size() const {
  return static_cast<int>(state_->boxes.size());
}

std::unique_ptr<Communicator> ThreadWorld::communicator(int rank) {
  VARVE_CHECK(rank >= 0 && rank < size(), "rank {} of {}", rank, size());
  Mailbox& box = state_->box(rank);
  {
    const std::lock_guard lock(box.mutex);
    VARVE_CHECK(!std::exchange(box.handed_out, true), "rank {} already has its communicator", rank);
  }
  return std::make_unique<ThreadCommunicator>(state_, rank);
}

}  // namespace varve
