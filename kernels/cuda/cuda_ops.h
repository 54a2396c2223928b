#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace varve {

/// What matrices of weights are held and multiplied in. Sums are float32 in both.
enum class CudaPrecision : std::uint8_t {
  kBF16,  // rows are rounded to bfloat16 for a product; attention on 16-bit matrix units
  kF32,   // everything in float32: twice the memory, several times as slow; to compare with
};

/// A device as this process sees it, by its number.
struct CudaDevice {
  std::string id;  // the same in all processes, whatever their numbers
  std::string name;
  std::size_t memory = 0;  // bytes, of all
};
/// None in a build without CUDA, and on a machine without a device or a driver that fits.
std::vector<CudaDevice> cuda_devices();
inline constexpr const char* kNoCuda =
    "this build of varve has no CUDA; backend auto, cpu or reference would be right";

/// "driver 13.0, runtime 13.0"; empty in a build without CUDA.
std::string cuda_versions();
inline bool has_cuda() {
  return !cuda_devices().empty();
}
/// DeviceError in a build without CUDA, or if there is no such device.
/// `graphs`: decode steps are started as CUDA graphs (Ops::begin_step).
std::unique_ptr<Ops> make_cuda_ops(int device, CudaPrecision precision, bool graphs);

}  // namespace varve
