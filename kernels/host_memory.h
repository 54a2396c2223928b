// Host memory for the backends that compute on the CPU.
#pragma once

#include <cstddef>

#include "kernels/buffer.h"

namespace varve {

/// Aligned to 64 bytes (a cache line, an AVX-512 vector), contents undefined. Zero bytes give an
/// empty buffer. DeviceError if the machine has no such memory.
Buffer allocate_host(std::size_t bytes);

/// memcpy that accepts empty ranges with null pointers.
void copy_host(void* to, const void* from, std::size_t bytes);

}  // namespace varve
