#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "tests/cuda_on_cpu/fakes/call.h"

namespace varve::fakes {
namespace {

// An H100's limits, but few multiprocessors: what a program launches for each of them, it emulates.
constexpr int kMajor = 9;
constexpr int kMinor = 0;
constexpr int kMultiprocessors = 4;
constexpr int kSharedPerBlock = 48 * 1024;
constexpr int kSharedPerBlockOptIn = 227 * 1024;
constexpr int kSharedPerMultiprocessor = 228 * 1024;
constexpr int kThreadsPerBlock = 1024;
constexpr int kThreadsPerMultiprocessor = 2048;
constexpr int kRegisters = 65536;
constexpr int kL2Bytes = 50 << 20;
constexpr int kWarp = 32;

// The number of the device in the machine, which visible devices may hide.
int pci_bus(Machine& machine, int device) {
  return machine.settings().devices[static_cast<std::size_t>(device)] + 1;
}

cudaDeviceProp properties(Machine& machine, int device) {
  cudaDeviceProp p{};
  const std::string name = fmt::format("varve fake device {}", pci_bus(machine, device) - 1);
  name.copy(p.name, sizeof p.name - 1);
  p.uuid.bytes[0] = static_cast<char>(pci_bus(machine, device));
  p.totalGlobalMem = machine.memory().bytes_each();
  p.sharedMemPerBlock = kSharedPerBlock;
  p.sharedMemPerBlockOptin = kSharedPerBlockOptIn;
  p.sharedMemPerMultiprocessor = kSharedPerMultiprocessor;
  p.regsPerBlock = p.regsPerMultiprocessor = kRegisters;
  p.warpSize = kWarp;
  p.maxThreadsPerBlock = kThreadsPerBlock;
  p.maxThreadsPerMultiProcessor = kThreadsPerMultiprocessor;
  const int dimensions[] = {1024, 1024, 64};
  const int grid[] = {2147483647, 65535, 65535};
  std::copy(std::begin(dimensions), std::end(dimensions), p.maxThreadsDim);
  std::copy(std::begin(grid), std::end(grid), p.maxGridSize);
  p.major = kMajor;
  p.minor = kMinor;
  p.multiProcessorCount = kMultiprocessors;
  p.l2CacheSize = kL2Bytes;
  p.pciBusID = pci_bus(machine, device);
  p.unifiedAddressing = p.concurrentKernels = p.memoryPoolsSupported = 1;
  p.streamPrioritiesSupported = 1;
  p.asyncEngineCount = 2;
  return p;
}

// Null for an attribute that is not faked.
const int* attribute(const cudaDeviceProp& p, cudaDeviceAttr which) {
  switch (which) {
    case cudaDevAttrComputeCapabilityMajor:
      return &p.major;
    case cudaDevAttrComputeCapabilityMinor:
      return &p.minor;
    case cudaDevAttrMultiProcessorCount:
      return &p.multiProcessorCount;
    case cudaDevAttrWarpSize:
      return &p.warpSize;
    case cudaDevAttrMaxThreadsPerBlock:
      return &p.maxThreadsPerBlock;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return &p.maxThreadsPerMultiProcessor;
    case cudaDevAttrMaxRegistersPerBlock:
      return &p.regsPerBlock;
    case cudaDevAttrL2CacheSize:
      return &p.l2CacheSize;
    case cudaDevAttrPciBusId:
      return &p.pciBusID;
    case cudaDevAttrPciDeviceId:
      return &p.pciDeviceID;
    case cudaDevAttrPciDomainId:
      return &p.pciDomainID;
    case cudaDevAttrUnifiedAddressing:
      return &p.unifiedAddressing;
    case cudaDevAttrConcurrentKernels:
      return &p.concurrentKernels;
    case cudaDevAttrMemoryPoolsSupported:
      return &p.memoryPoolsSupported;
    case cudaDevAttrAsyncEngineCount:
      return &p.asyncEngineCount;
    case cudaDevAttrIntegrated:
      return &p.integrated;
    case cudaDevAttrManagedMemory:
      return &p.managedMemory;
    default:
      return nullptr;
  }
}

cudaError_t device_attribute(Call& call, int* value, cudaDeviceAttr which, int device) {
  if (const cudaError_t error = call.check_device(device)) return error;
  switch (which) {
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedPerBlock;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = kSharedPerBlockOptIn;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = kSharedPerMultiprocessor;
      return cudaSuccess;
    default:
      break;
  }
  const cudaDeviceProp all = properties(call.machine(), device);
  const int* found = attribute(all, which);
  if (found == nullptr) {
    return call.refuse(cudaErrorInvalidValue,
                       fmt::format("attribute {} is not faked", static_cast<int>(which)));
  }
  *value = *found;
  return cudaSuccess;
}

}  // namespace
}  // namespace varve::fakes

extern "C" {

using varve::fakes::Call;

cudaError_t cudaGetDeviceCount(int* count) {
  Call call("cudaGetDeviceCount");
  *count = call.machine().devices();
  return *count > 0 ? cudaSuccess : call.answer(cudaErrorNoDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  Call call("cudaGetDeviceProperties");
  if (const cudaError_t error = call.check_device(device)) return error;
  *p = varve::fakes::properties(call.machine(), device);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
  Call call("cudaDeviceGetAttribute");
  return varve::fakes::device_attribute(call, value, which, device);
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  Call call("cudaDeviceGetPCIBusId");
  if (const cudaError_t error = call.check_device(device)) return error;
  const std::string text =
      fmt::format("0000:{:02x}:00.0", varve::fakes::pci_bus(call.machine(), device));
  if (id == nullptr || static_cast<std::size_t>(length) <= text.size()) {
    return call.refuse(cudaErrorInvalidValue, "too little room for 0000:00:00.0");
  }
  std::memcpy(id, text.c_str(), text.size() + 1);
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  Call call("cudaDeviceCanAccessPeer");
  if (const cudaError_t error = call.check_device(device)) return error;
  if (const cudaError_t error = call.check_device(peer)) return error;
  *can = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  Call call("cudaSetDevice");
  if (const cudaError_t error = call.check_device(device)) return error;
  call.thread().device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  Call call("cudaGetDevice");
  if (const cudaError_t error = call.check_device(call.thread().device)) return error;
  *device = call.thread().device;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  Call call("cudaFuncSetAttribute");
  if (function == nullptr) return call.refuse(cudaErrorInvalidDeviceFunction, "no function");
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize &&
      (value < 0 || value > varve::fakes::kSharedPerBlockOptIn)) {
    return call.refuse(cudaErrorInvalidValue,
                       fmt::format("{} bytes of shared memory; a block has at most {}", value,
                                   varve::fakes::kSharedPerBlockOptIn));
  }
  return cudaSuccess;
}

}  // extern "C"
