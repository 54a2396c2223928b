// Threads of one Ops. The caller is thread 0. A job is a number of pieces; whoever is free takes
// the next one, and a job ends when its pieces are done, not when every thread has seen it. So a
// thread that the system keeps from running (several ranks may share a machine) holds up nobody,
// unless it has taken a piece.
// Between jobs the threads spin for some microseconds and then sleep. Nothing allocates.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

namespace varve {

class ThreadPool {
 public:
  /// With `cores`, one for each thread, thread t is kept on cores[t]: the calling thread too, until
  /// the pool's end in that same thread. If the system refuses one, none is kept anywhere.
  explicit ThreadPool(std::size_t threads, std::span<const std::uint32_t> cores = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t size() const { return workers_.size() + 1; }

  /// work(index, thread) for every index of [0, count), each on some thread; returns when all are
  /// done. No two pieces run on one thread at a time. Work must not throw.
  template <class Work>
  void each(std::size_t count, const Work& work) {
    const auto take_all = [&](std::size_t thread) {
      for (;;) {
        const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) return;
        work(index, thread);
      }
    };
    run({[](const void* context, std::size_t thread) {
           (*static_cast<const decltype(take_all)*>(context))(thread);
         },
         &take_all},
        count);
  }

  /// work(begin, end, thread) over ranges that cover [0, count), one for each thread.
  template <class Work>
  void split(std::size_t count, const Work& work) {
    const std::size_t piece = (count + size() - 1) / size();
    if (piece == 0) return;
    each((count + piece - 1) / piece, [&](std::size_t index, std::size_t thread) {
      work(index * piece, std::min((index + 1) * piece, count), thread);
    });
  }

 private:
  struct Job {
    void (*call)(const void* context, std::size_t thread) = nullptr;
    const void* context = nullptr;
  };

  void pin(std::span<const std::uint32_t> cores);
  void run(Job job, std::size_t pieces);
  void open(Job job);
  void close();
  void serve(std::size_t thread);
  bool join(std::uint32_t epoch);
  void leave();

  Job job_;                              // of the open epoch; empty: stop
  std::atomic<std::uint32_t> state_{0};  // epoch, open, workers inside: see thread_pool.cc
  std::atomic<std::size_t> next_{0};     // first piece that nobody took
  std::vector<std::thread> workers_;
  std::thread::id pinned_caller_;             // none if nothing is pinned
  std::vector<std::uint32_t> callers_cores_;  // before
};

}  // namespace varve
