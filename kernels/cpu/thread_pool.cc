#include "kernels/cpu/thread_pool.h"

#include "hwy/cache_control.h"

namespace varve {
namespace {

// About 20 microseconds: longer than the gap between two jobs of a step, shorter than a time slice.
constexpr int kSpins = 500;

// Returns once `value` differs from `old`.
void wait_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    hwy::Pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(std::size_t threads) {
  for (std::size_t thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { serve(thread); });
  }
}

ThreadPool::~ThreadPool() {
  job_ = {};
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(Job job) {
  if (workers_.empty()) return job.call(job.context, 0);
  job_ = job;
  running_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  job.call(job.context, 0);
  for (std::uint32_t left; (left = running_.load(std::memory_order_acquire)) != 0;) {
    wait_change(running_, left);
  }
}

void ThreadPool::serve(std::size_t thread) {
  for (std::uint32_t seen = 0;; ++seen) {
    wait_change(epoch_, seen);
    if (job_.call == nullptr) return;
    job_.call(job_.context, thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace varve
