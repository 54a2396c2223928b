// One GPU as a rank uses it: a stream, memory in the order of that stream, and words for its
// errors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

#include "kernels/buffer.h"

namespace varve::cuda {

/// DeviceError that says what was tried and what the runtime calls the failure. Does nothing on
/// success.
void check(cudaError_t status, const char* what);

/// The calling thread's current device is this one from the constructor on; an object belongs to
/// one thread. Everything goes through one stream, so work runs in the order of the calls, and the
/// host waits for it in `upload`, `download` and `finish` alone.
class Device {
 public:
  /// DeviceError if the machine has no device of that number, or it cannot be used.
  explicit Device(int number);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  cudaStream_t stream() const { return stream_; }
  /// "NVIDIA H100 80GB HBM3".
  const std::string& name() const { return name_; }
  int multiprocessors() const { return multiprocessors_; }

  /// Memory aligned to 256 bytes, contents undefined; it must not outlive the device. Given back in
  /// the order of the stream, when the work that was put there before is done. DeviceError if there
  /// is not enough, with what is free.
  Buffer allocate(std::size_t bytes);
  /// Waits for the copy, and so for all work put on the stream before.
  void upload(void* to, const void* host, std::size_t bytes);
  /// Waits for all work put on the stream before.
  void download(void* host, const void* from, std::size_t bytes);
  void finish();

 private:
  cudaStream_t stream_ = nullptr;
  std::string name_;
  int multiprocessors_ = 0;
};

/// Host memory that a device copies from and to by itself.
class PinnedMemory {
 public:
  PinnedMemory() = default;
  explicit PinnedMemory(std::size_t bytes);
  PinnedMemory(PinnedMemory&& other) noexcept;
  PinnedMemory& operator=(PinnedMemory&& other) noexcept;
  ~PinnedMemory();

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A point in a stream.
class Event {
 public:
  Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&&) = delete;
  ~Event();

  void record(cudaStream_t stream);
  /// Until the recorded point is reached; at once if there is none.
  void wait();

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace varve::cuda
