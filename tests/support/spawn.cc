#include "tests/support/spawn.h"

#include <fmt/format.h>

#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/error.h"

namespace varve {
namespace {

class Crew {
 public:
  Crew(int n, const SpawnOptions& options) : world_(n, options.threads), running_(n) {
    for (int r = 0; r < n; ++r) communicators_.push_back(world_.communicator(r));
  }

  void run(int r, const std::function<void(Communicator&)>& body) {
    auto& communicator = communicators_[static_cast<std::size_t>(r)];
    std::exception_ptr failure;
    try {
      body(*communicator);
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (failure) stop(failure, fmt::format("rank {} failed", r));
    // Destroyed under the lock: stop() must not cancel it meanwhile. Its peers learn that it left.
    communicator.reset();
    --running_;
    changed_.notify_all();
  }

  /// Until all ranks have ended or the limit has passed.
  void watch(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, limit, [this] { return running_ == 0; })) return;
    const std::string late = fmt::format("{} ranks still run after {} ms", running_, limit.count());
    stop(std::make_exception_ptr(PeerError(late)), late);
  }

  void rethrow() {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void stop(const std::exception_ptr& failure, const std::string& reason) {
    if (failure_) return;
    failure_ = failure;
    for (auto& communicator : communicators_) {
      if (communicator) communicator->cancel(reason);
    }
  }

  ThreadWorld world_;
  std::vector<std::unique_ptr<Communicator>> communicators_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_;
  std::exception_ptr failure_;
};

}  // namespace

void spawn(int n, const std::function<void(Communicator&)>& rank, SpawnOptions options) {
  Crew crew(n, options);
  std::vector<std::thread> threads;
  for (int r = 0; r < n; ++r) threads.emplace_back([&crew, &rank, r] { crew.run(r, rank); });
  crew.watch(options.limit);
  for (std::thread& thread : threads) thread.join();
  crew.rethrow();
}

}  // namespace varve
