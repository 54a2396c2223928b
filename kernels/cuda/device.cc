#include "kernels/cuda/device.h"

#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <utility>

#include "common/error.h"
#include "common/units.h"

namespace varve::cuda {
namespace {

int device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "count the devices");
  return count;
}

// Freed memory stays with the process: a cache that evicts asks for it again.
void keep_freed_memory(int number) {
  cudaMemPool_t pool = nullptr;
  check(cudaDeviceGetDefaultMemPool(&pool, number), "find its memory pool");
  std::uint64_t all = UINT64_MAX;
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "keep its memory");
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  throw DeviceError(fmt::format("CUDA cannot {}: {} ({})", what, cudaGetErrorString(status),
                                cudaGetErrorName(status)));
}

Device::Device(int number) {
  const int count = device_count();
  if (number < 0 || number >= count) {
    throw DeviceError(fmt::format("CUDA device {}: this machine has {}", number,
                                  count == 0 ? "none" : fmt::format("0 to {}", count - 1)));
  }
  check(cudaSetDevice(number), "take the device");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, number), "ask what the device is");
  name_ = properties.name;
  multiprocessors_ = properties.multiProcessorCount;
  keep_freed_memory(number);
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream");
}

Device::~Device() {
  graph_.drop(stream_);
  static_cast<void>(cudaStreamSynchronize(stream_));
  static_cast<void>(cudaStreamDestroy(stream_));
}

void Device::free_in_order(void* data, void* device) noexcept {
  auto& self = *static_cast<Device*>(device);
  try {
    self.launch_collected();
  } catch (const std::exception&) {
    // As below.
  }
  // A failure here means that an earlier one went unreported; the next call that can will report
  // it.
  static_cast<void>(cudaFreeAsync(data, self.stream_));
}

Buffer Device::allocate(std::size_t bytes) {
  if (bytes == 0) return {};
  launch_collected();
  void* data = nullptr;
  const cudaError_t status = cudaMallocAsync(&data, bytes, stream_);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "ask for free memory");
    throw DeviceError(fmt::format("{}: no {} of memory; {} of {} are free", name_,
                                  to_string(Bytes{bytes}), to_string(Bytes{free}),
                                  to_string(Bytes{total})));
  }
  check(status, "allocate memory");
  return {data, bytes, free_in_order, this};
}

void Device::upload(void* to, const void* host, std::size_t bytes) {
  if (bytes == 0) return;
  launch_collected();
  check(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
  finish();  // memory that is not pinned may be read late
}

void Device::download(void* host, const void* from, std::size_t bytes) {
  launch_collected();
  if (bytes > 0) {
    check(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, stream_),
          "copy from the device");
  }
  finish();
}

void Device::finish() {
  launch_collected();
  check(cudaStreamSynchronize(stream_), "finish its work");
}

Stream::Stream() {
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream");
}

Stream::~Stream() {
  static_cast<void>(cudaStreamDestroy(stream_));
}

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes) {
  void* data = nullptr;
  check(cudaMalloc(&data, bytes), "allocate memory");
  data_ = static_cast<std::byte*>(data);
}

DeviceMemory::~DeviceMemory() {
  static_cast<void>(cudaFree(data_));
}

PinnedMemory::PinnedMemory(std::size_t bytes) : bytes_(bytes) {
  void* data = nullptr;
  check(cudaMallocHost(&data, bytes), "allocate pinned memory");
  data_ = static_cast<std::byte*>(data);
}

PinnedMemory::PinnedMemory(PinnedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

PinnedMemory& PinnedMemory::operator=(PinnedMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedMemory::~PinnedMemory() {
  if (data_ != nullptr) static_cast<void>(cudaFreeHost(data_));
}

Event::Event() {
  check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "create an event");
}

Event::Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}

Event::~Event() {
  if (event_ != nullptr) static_cast<void>(cudaEventDestroy(event_));
}

void Event::record(cudaStream_t stream) {
  check(cudaEventRecord(event_, stream), "mark a stream");
}

void Event::wait() {
  check(cudaEventSynchronize(event_), "wait for a mark");
}

bool Event::reached() const {
  const cudaError_t status = cudaEventQuery(event_);
  if (status == cudaErrorNotReady) return false;
  check(status, "reach a mark");
  return true;
}

void Event::hold_back(cudaStream_t stream) const {
  check(cudaStreamWaitEvent(stream, event_, 0), "let a stream wait for a mark");
}

}  // namespace varve::cuda
