// CUDA's built-in variables. The language makes them global; the emulator sets them whenever it
// switches between threads.
#pragma once

#include <vector_types.h>

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
