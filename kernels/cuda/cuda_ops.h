#pragma once

#include <cstdint>
#include <memory>

#include "kernels/ops.h"

namespace varve {

/// What matrices of weights are held and multiplied in. Sums are float32 in both.
enum class CudaPrecision : std::uint8_t {
  kBF16,  // rows are rounded to bfloat16 for a product; attention on 16-bit matrix units
  kF32,   // everything in float32: twice the memory, several times as slow; to compare with
};

/// False in a build without CUDA, and on a machine without a device.
bool has_cuda();
/// DeviceError in a build without CUDA, or if there is no such device.
std::unique_ptr<Ops> make_cuda_ops(int device, CudaPrecision precision);

}  // namespace varve
