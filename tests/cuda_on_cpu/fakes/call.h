#pragma once

#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <string>

#include "tests/cuda_on_cpu/fakes/machine.h"

namespace varve::fakes {

/// What CUDA keeps for each host thread.
struct HostThread {
  HostThread();
  ~HostThread();
  HostThread(const HostThread&) = delete;
  HostThread& operator=(const HostThread&) = delete;

  static HostThread& current();
  /// Whether this thread has called the runtime yet.
  static bool known();
  /// Threads that have and still live.
  static int count();

  int device = 0;
  cudaError_t last_error = cudaSuccess;
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  std::string refusal;
  Machine::Clock::time_point last_call = Machine::Clock::now();
  std::optional<Machine::Clock::time_point> stuck_since;
};

/// While one lives this thread runs work of the device, which may not call a fake library. Nests.
class InsideWork {
 public:
  static constexpr const char* kDevice = "work of the device";

  explicit InsideWork(const char* what);
  ~InsideWork();
  InsideWork(const InsideWork&) = delete;
  InsideWork& operator=(const InsideWork&) = delete;
  /// Null outside.
  static const char* what();

 private:
  const char* outer_;
};

/// One call of a fake library: holds the machine's lock from begin to end. KernelError if the call
/// is made by work of the device (a host function may not call CUDA).
class Call {
 public:
  enum class Kind { kPlain, kPoll };

  explicit Call(const char* name, Kind kind = Kind::kPlain);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const char* name() const { return name_; }
  Machine& machine() { return machine_; }
  HostThread& thread() { return thread_; }

  /// The error, which cudaGetLastError then has too, and the reason, printed and kept.
  cudaError_t refuse(cudaError_t error, const std::string& why);
  /// The error without a reason: it is no mistake of the caller.
  cudaError_t answer(cudaError_t error);
  void explain(const std::string& why);

  /// cudaSuccess, or why the stream cannot take work now.
  cudaError_t check_stream(cudaStream_t stream);
  cudaError_t check_device(int device);
  /// For calls that wait for the device or change its memory: cudaSuccess, or invalidates the
  /// stream captures that forbid them.
  cudaError_t check_no_capture();

  /// Throws the failure of work that the host waits for; gives its error instead where an exception
  /// is on its way up already, because destructors wait for streams, too.
  cudaError_t report(const std::exception_ptr& failure);

  /// Lets the other threads have the machine for a moment.
  void rest();

 private:
  const char* name_;
  Machine& machine_;
  HostThread& thread_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace varve::fakes
