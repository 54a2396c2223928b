#pragma once

#include <memory>

#include "kernels/ops.h"

namespace varve {

/// False in a build without CUDA.
bool has_cuda();
/// DeviceError in a build without CUDA.
std::unique_ptr<Ops> make_cuda_ops();

}  // namespace varve
