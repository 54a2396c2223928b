// One GPU as a rank uses it: a stream, memory in the order of that stream, and words for its
// errors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>

#include "kernels/buffer.h"
#include "kernels/cuda/step_graph.h"

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
  /// Work that is put on the stream from now on is started as one by `launch_collected`; earlier,
  /// if something has to wait for it, or allocates or frees memory.
  void collect() { graph_.collect(stream_); }
  void launch_collected() {
    if (graph_.collecting()) graph_.launch(stream_);
  }
  const StepGraph& graph() const { return graph_; }

  /// Waits for the copy, and so for all work put on the stream before.
  void upload(void* to, const void* host, std::size_t bytes);
  /// Waits for all work put on the stream before.
  void download(void* host, const void* from, std::size_t bytes);
  void finish();

 private:
  static void free_in_order(void* data, void* device) noexcept;

  cudaStream_t stream_ = nullptr;
  StepGraph graph_;
  std::string name_;
  int multiprocessors_ = 0;
};

/// A stream beside a Device's own, of the calling thread's current device.
class Stream {
 public:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  /// Does not wait for what is on it.
  ~Stream();

  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// Memory of the calling thread's current device, beside what a Device gives in the order of its
/// stream. It is freed when all work of the device is done.
class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t bytes);
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_;
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
  /// Whether it is. DeviceError if work before it failed.
  bool reached() const;
  /// What is put on the stream from now on begins when the recorded point is reached.
  void hold_back(cudaStream_t stream) const;

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace varve::cuda
