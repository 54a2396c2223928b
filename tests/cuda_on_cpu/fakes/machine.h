// The one fake machine of the process: its devices' memory, their streams, and the order in which
// their work runs. Everything in it is guarded by one lock, which work holds while it runs: one
// host thread at a time drives the devices.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/fakes/device_memory.h"
#include "tests/cuda_on_cpu/fakes/settings.h"
#include "tests/cuda_on_cpu/fakes/work.h"

namespace varve::fakes {

class Call;

class Machine {
 public:
  using Clock = std::chrono::steady_clock;
  /// How long a thread may wait for something before work that it did not ask for runs too.
  static constexpr std::chrono::milliseconds kPatience{1};

  /// A process has one set of GPUs: the one global of the fakes. Made at the first call and never
  /// destroyed, because destructors of other globals may still free their device memory.
  static Machine& get();

  std::mutex& mutex() { return mutex_; }
  const Settings& settings() const { return settings_; }
  void configure(const Settings& settings);
  DeviceMemory& memory() { return *memory_; }
  PinnedMemory& pinned() { return pinned_; }
  int devices() const { return static_cast<int>(settings_.devices.size()); }

  CUstream_st* make_stream(int device);
  /// What is queued may still run.
  void retire(CUstream_st* stream);
  /// Whether the host may still name it.
  bool knows(const CUstream_st* stream) const;
  /// Null if it is gone; not if it was destroyed with work in it.
  CUstream_st* find(const CUstream_st* stream) const;

  /// Queues, or gives to the capture that the stream is in.
  void put(CUstream_st& stream, Task task);
  /// Queues what no graph contains.
  void push(CUstream_st& stream, Op op);

  /// One step of the device on behalf of a thread that waits for `favoured` (null: for anything).
  /// False if nothing could be done.
  bool advance(CUstream_st* favoured);
  /// Steps until ready. KernelError, also for every stream, if nothing moves until the deadline.
  void drive(Call& call, CUstream_st* favoured, const std::function<bool()>& ready);
  /// Everything that can run now, oldest stream first. Not on behalf of anybody.
  void run_all();

  /// For work that is host code: without the lock, with device memory closed.
  void outside(const std::function<void()>& run);

  /// Nothing of the device (-1: of any) is queued or running.
  bool idle(int device) const;
  /// The first failure of a stream of the device. Only the stream's own wait forgets it: it may be
  /// another thread's.
  std::exception_ptr failure(int device) const;
  /// KernelError if something was written behind a block, or was reported for later.
  void check_overruns();
  /// For calls that must not throw: the next wait does.
  void report_later(const std::string& what);

  std::uint64_t tick() { return ++ticks_; }
  std::size_t draw(std::size_t below) { return random_() % below; }
  std::vector<std::shared_ptr<Capture>>& captures() { return captures_; }

  /// Of any thread.
  Clock::time_point last_call = Clock::now();
  /// Host functions that are queued: the host may wait for them without calling CUDA.
  int host_functions = 0;

 private:
  Machine();
  bool step(CUstream_st& stream);
  bool step_in_order(CUstream_st* favoured);
  bool step_needed(CUstream_st& stream);
  bool step_any(CUstream_st* last, bool youngest_first);
  bool step_random();
  void after_push();
  void fail(CUstream_st& stream, const std::exception_ptr& failure);
  void fail_all(const std::exception_ptr& failure);
  std::string hang_report() const;

  std::mutex mutex_;
  Settings settings_;
  std::unique_ptr<DeviceMemory> memory_;
  PinnedMemory pinned_;
  std::vector<std::unique_ptr<CUstream_st>> streams_;  // oldest first
  std::vector<std::shared_ptr<Capture>> captures_;
  std::mt19937 random_;
  std::uint64_t ticks_ = 0;  // steps that moved something: the device's clock
  std::string last_work_;
  std::string late_report_;
};

}  // namespace varve::fakes
