#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "tests/cuda_on_cpu/fakes/call.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::fakes {
namespace {

// What is queued may free memory. CUDA waits for it, too, before it gives up.
Block* allocate(Call& call, std::size_t bytes) {
  Machine& machine = call.machine();
  const int device = call.thread().device;
  Block* block = machine.memory().allocate(bytes, device);
  if (block != nullptr || machine.idle(device)) return block;
  machine.drive(call, nullptr, [&] { return machine.idle(device); });
  return machine.memory().allocate(bytes, device);
}

cudaError_t allocate_device(Call& call, void** p, std::size_t bytes) {
  if (p == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the address");
  *p = nullptr;
  if (const cudaError_t error = call.check_device(call.thread().device)) return error;
  if (const cudaError_t error = call.check_no_capture()) return error;
  if (bytes == 0) return cudaSuccess;
  const Block* block = allocate(call, bytes);
  if (block == nullptr) return call.answer(cudaErrorMemoryAllocation);
  *p = block->begin;
  return cudaSuccess;
}

cudaError_t allocate_in_order(Call& call, void** p, std::size_t bytes, cudaStream_t stream) {
  if (p == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the address");
  *p = nullptr;
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (stream->capture != nullptr) {
    return call.refuse(cudaErrorStreamCaptureUnsupported, "graphs that allocate are not faked");
  }
  if (bytes == 0) return cudaSuccess;
  Block* block = allocate(call, bytes);
  if (block == nullptr) return call.answer(cudaErrorMemoryAllocation);
  block->stream_ordered = true;
  *p = block->begin;
  // The memory is there from this point of the stream on: what others wrote before is lost.
  call.machine().push(
      *stream, {"an allocation", once([copy = *block] { Machine::get().memory().poison(copy); })});
  return cudaSuccess;
}

void release_in_order(const Block& block) {
  DeviceMemory& memory = Machine::get().memory();
  const Block* now = memory.starting_at(block.begin);
  if (now == nullptr || now->serial != block.serial) {
    throw KernelError("cudaFreeAsync: the memory was freed before");
  }
  memory.release(block.begin);
}

cudaError_t free_in_order(Call& call, void* p, cudaStream_t stream) {
  if (const cudaError_t error = call.check_stream(stream)) return error;
  if (p == nullptr) return cudaSuccess;
  if (stream->capture != nullptr) {
    return call.refuse(cudaErrorStreamCaptureUnsupported, "graphs that free are not faked");
  }
  const Block* block = call.machine().memory().starting_at(p);
  if (block == nullptr) return call.refuse(cudaErrorInvalidValue, "not the begin of a block");
  Op op{"a free", once([copy = *block] { release_in_order(copy); })};
  op.drop = [copy = *block](const std::exception_ptr&) {
    if (Machine::get().memory().starting_at(copy.begin) != nullptr) release_in_order(copy);
  };
  call.machine().push(*stream, std::move(op));
  return cudaSuccess;
}

// As CUDA does, but for memory that a stream allocated: there the caller has to wait.
cudaError_t wait_before_free(Call& call, const Block& block) {
  if (block.stream_ordered) return cudaSuccess;
  Machine& machine = call.machine();
  try {
    machine.drive(call, nullptr, [&] { return machine.idle(block.device); });
  } catch (const KernelError& error) {
    machine.report_later(error.what());
    return call.refuse(cudaErrorLaunchFailure, error.what());
  }
  return cudaSuccess;
}

cudaError_t free_now(Call& call, void* p) {
  if (p == nullptr) return cudaSuccess;
  if (const cudaError_t error = call.check_no_capture()) return error;
  Machine& machine = call.machine();
  const Block* found = machine.memory().starting_at(p);
  if (found == nullptr) return call.refuse(cudaErrorInvalidValue, "not the begin of a block");
  const Block block = *found;
  const cudaError_t error = wait_before_free(call, block);
  const DeviceOpen open(machine.memory().arena());
  if (kHeapBacked) {
    machine.memory().release(p);
    return error;
  }
  const auto overrun = machine.memory().take_overrun(block);
  machine.memory().release(p);
  if (!overrun) return error;
  machine.report_later(*overrun);
  return call.refuse(cudaErrorIllegalAddress, *overrun);
}

cudaError_t allocate_host(Call& call, void** p, std::size_t bytes, unsigned flags) {
  if (p == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the address");
  *p = nullptr;
  if ((flags & ~static_cast<unsigned>(cudaHostAllocPortable)) != 0) {
    return call.refuse(cudaErrorNotSupported, "only default and portable memory is faked");
  }
  if (const cudaError_t error = call.check_device(call.thread().device)) return error;
  if (const cudaError_t error = call.check_no_capture()) return error;
  if (bytes == 0) return cudaSuccess;
  *p = call.machine().pinned().allocate(bytes);
  return *p != nullptr ? cudaSuccess : call.answer(cudaErrorMemoryAllocation);
}

cudaError_t release_host(Call& call, void* p, bool owned) {
  if (p == nullptr && owned) return cudaSuccess;
  if (const cudaError_t error = call.check_no_capture()) return error;
  if (call.machine().pinned().release(p, owned)) return cudaSuccess;
  return call.refuse(owned ? cudaErrorInvalidValue : cudaErrorHostMemoryNotRegistered,
                     "not the begin of pinned memory of that kind");
}

cudaError_t describe(Call& call, cudaPointerAttributes* attributes, const void* p) {
  if (attributes == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for an answer");
  *attributes = {};
  attributes->type = cudaMemoryTypeUnregistered;
  attributes->device = -1;
  if (const Block* block = call.machine().memory().find(p)) {
    attributes->type = cudaMemoryTypeDevice;
    attributes->device = block->device;
    attributes->devicePointer = const_cast<void*>(p);
  } else if (call.machine().pinned().find(p) != nullptr) {
    attributes->type = cudaMemoryTypeHost;
    attributes->device = call.thread().device;
    attributes->hostPointer = const_cast<void*>(p);
  }
  return cudaSuccess;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cudaError_t cudaMalloc(void** p, size_t bytes) {
  Call call("cudaMalloc");
  return varve::fakes::allocate_device(call, p, bytes);
}

cudaError_t cudaMallocAsync(void** p, size_t bytes, cudaStream_t stream) {
  Call call("cudaMallocAsync");
  return varve::fakes::allocate_in_order(call, p, bytes, stream);
}

// There is one pool, and what is kept of freed memory shows in nothing but time.
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  Call call("cudaDeviceGetDefaultMemPool");
  if (pool == nullptr) return call.refuse(cudaErrorInvalidValue, "no place for the pool");
  static char the_pool;
  *pool = reinterpret_cast<cudaMemPool_t>(&the_pool);
  return call.check_device(device);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  Call call("cudaMemPoolSetAttribute");
  if (pool == nullptr || value == nullptr) {
    return call.refuse(cudaErrorInvalidValue, "no pool or no value");
  }
  if (attribute != cudaMemPoolAttrReleaseThreshold) {
    return call.refuse(cudaErrorNotSupported, "this attribute is not faked");
  }
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  Call call("cudaFree");
  return varve::fakes::free_now(call, p);
}

cudaError_t cudaFreeAsync(void* p, cudaStream_t stream) {
  Call call("cudaFreeAsync");
  return varve::fakes::free_in_order(call, p, stream);
}

cudaError_t cudaMallocHost(void** p, size_t bytes) {
  Call call("cudaMallocHost");
  return varve::fakes::allocate_host(call, p, bytes, cudaHostAllocDefault);
}

cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned flags) {
  Call call("cudaHostAlloc");
  return varve::fakes::allocate_host(call, p, bytes, flags);
}

cudaError_t cudaFreeHost(void* p) {
  Call call("cudaFreeHost");
  return varve::fakes::release_host(call, p, true);
}

cudaError_t cudaHostRegister(void* p, size_t bytes, unsigned) {
  Call call("cudaHostRegister");
  if (const cudaError_t error = call.check_no_capture()) return error;
  if (p == nullptr || bytes == 0) return call.refuse(cudaErrorInvalidValue, "no memory");
  if (call.machine().pinned().add(p, bytes)) return cudaSuccess;
  return call.refuse(cudaErrorHostMemoryAlreadyRegistered, "part of it is pinned");
}

cudaError_t cudaHostUnregister(void* p) {
  Call call("cudaHostUnregister");
  return varve::fakes::release_host(call, p, false);
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  Call call("cudaMemGetInfo");
  if (const cudaError_t error = call.check_device(call.thread().device)) return error;
  *total = call.machine().memory().bytes_each();
  *free_bytes = *total - call.machine().memory().used(call.thread().device);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p) {
  Call call("cudaPointerGetAttributes");
  return varve::fakes::describe(call, attributes, p);
}

}  // extern "C"
