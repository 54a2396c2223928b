#pragma once

#include <cuda_runtime_api.h>

namespace varve::ptx {

/// out[i] = in[i] for i < n, by plain loads; n is a multiple of 32.
void launch_copy(cudaStream_t stream, const float* in, float* out, unsigned n);
/// The same by cp.async, in pieces of 4; n is a multiple of 128.
void launch_copy_async(cudaStream_t stream, const float* in, float* out, unsigned n);

}  // namespace varve::ptx
