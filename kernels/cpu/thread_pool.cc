#include "kernels/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include "common/cores.h"
#include "common/error.h"
#include "hwy/cache_control.h"

namespace varve {
namespace {

// The state in one word, so that entering a job and closing it cannot cross: how many workers are
// inside, whether the job is open to more, and which job it is.
constexpr std::uint32_t kInside = (1U << 10U) - 1;
constexpr std::uint32_t kOpen = 1U << 10U;
constexpr std::uint32_t kEpoch = ~(kInside | kOpen);
constexpr std::uint32_t kOneEpoch = 1U << 11U;

// Some microseconds: longer than the gap between two jobs of a step, shorter than a time slice.
constexpr int kSpins = 500;

// Returns the state once it satisfies `condition`.
template <class Condition>
std::uint32_t await(const std::atomic<std::uint32_t>& state, const Condition& condition) {
  for (int i = 0; i < kSpins; ++i) {
    const std::uint32_t now = state.load(std::memory_order_acquire);
    if (condition(now)) return now;
    hwy::Pause();
  }
  for (;;) {
    const std::uint32_t now = state.load(std::memory_order_acquire);
    if (condition(now)) return now;
    state.wait(now, std::memory_order_acquire);
  }
}

bool keep_on(pthread_t thread, std::span<const std::uint32_t> cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::uint32_t core : cores) {
    if (core >= CPU_SETSIZE) return false;
    CPU_SET(core, &set);
  }
  return pthread_setaffinity_np(thread, sizeof set, &set) == 0;
}

}  // namespace

ThreadPool::ThreadPool(std::size_t threads, std::span<const std::uint32_t> cores) {
  VARVE_CHECK(cores.empty() || cores.size() == threads, "{} cores for {} threads", cores.size(),
              threads);
  VARVE_CHECK(threads >= 1 && threads <= kInside, "{} threads", threads);
  for (std::size_t thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { serve(thread); });
  }
  if (!cores.empty()) pin(cores);
}

void ThreadPool::pin(std::span<const std::uint32_t> cores) {
  const std::vector<std::uint32_t> before = allowed_cores();
  if (before.empty()) return;
  bool all = true;
  for (std::size_t i = 0; i < workers_.size() && all; ++i) {
    all = keep_on(workers_[i].native_handle(), cores.subspan(i + 1, 1));
  }
  // The caller last: its core tells whether the pool is pinned.
  if (all && keep_on(pthread_self(), cores.first(1))) {
    pinned_caller_ = std::this_thread::get_id();
    callers_cores_ = before;
    return;
  }
  for (std::thread& worker : workers_) keep_on(worker.native_handle(), before);
}

ThreadPool::~ThreadPool() {
  open({});
  for (std::thread& worker : workers_) worker.join();
  if (pinned_caller_ == std::this_thread::get_id()) keep_on(pthread_self(), callers_cores_);
}

void ThreadPool::run(Job job, std::size_t pieces) {
  next_.store(0, std::memory_order_relaxed);
  if (workers_.empty() || pieces <= 1) return job.call(job.context, 0);
  open(job);
  job.call(job.context, 0);
  close();
}

void ThreadPool::open(Job job) {
  job_ = job;
  // The job before is closed and nobody is inside, so no other thread writes the state.
  const std::uint32_t before = state_.load(std::memory_order_relaxed);
  state_.store(((before & kEpoch) + kOneEpoch) | kOpen, std::memory_order_release);
  state_.notify_all();
}

void ThreadPool::close() {
  state_.fetch_and(~kOpen, std::memory_order_acq_rel);
  await(state_, [](std::uint32_t now) { return (now & kInside) == 0; });
}

void ThreadPool::serve(std::size_t thread) {
  for (std::uint32_t seen = 0;;) {
    const std::uint32_t now =
        await(state_, [seen](std::uint32_t state) { return (state & kEpoch) != seen; });
    seen = now & kEpoch;
    if (!join(seen)) continue;
    if (job_.call == nullptr) return;
    job_.call(job_.context, thread);
    leave();
  }
}

bool ThreadPool::join(std::uint32_t epoch) {
  std::uint32_t now = state_.load(std::memory_order_relaxed);
  do {
    if ((now & kOpen) == 0 || (now & kEpoch) != epoch) return false;
  } while (!state_.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel));
  return true;
}

void ThreadPool::leave() {
  const std::uint32_t before = state_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kOpen) == 0 && (before & kInside) == 1) state_.notify_all();
}

}  // namespace varve
