// Threads of one Ops. The caller is thread 0. Work is handed out without allocation; between jobs
// the threads spin for some microseconds and then sleep, because several ranks may share a machine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace varve {

class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::size_t size() const { return workers_.size() + 1; }

  /// work(thread) once on every thread; returns when all are done. Work must not throw.
  template <class Work>
  void run(const Work& work) {
    run({[](const void* context, std::size_t thread) {
           (*static_cast<const Work*>(context))(thread);
         },
         &work});
  }

  /// work(begin, end, thread) over contiguous shares of [0, count).
  template <class Work>
  void split(std::size_t count, const Work& work) {
    run([&](std::size_t thread) {
      const std::size_t begin = count * thread / size();
      const std::size_t end = count * (thread + 1) / size();
      if (begin < end) work(begin, end, thread);
    });
  }

  /// work(index, thread) for every index of [0, count), in whichever order threads get to them.
  template <class Work>
  void each(std::size_t count, const Work& work) {
    next_.store(0, std::memory_order_relaxed);
    run([&](std::size_t thread) {
      for (;;) {
        const std::size_t index = next_.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) return;
        work(index, thread);
      }
    });
  }

 private:
  struct Job {
    void (*call)(const void* context, std::size_t thread) = nullptr;
    const void* context = nullptr;
  };

  void run(Job job);
  void serve(std::size_t thread);

  Job job_;                                // of the current epoch; empty: stop
  std::atomic<std::uint32_t> epoch_{0};    // counts jobs
  std::atomic<std::uint32_t> running_{0};  // workers that are not done with the current job
  std::atomic<std::size_t> next_{0};       // first index that nobody took (each)
  std::vector<std::thread> workers_;
};

}  // namespace varve
