// What varve's GPU kernels are written in: CUDA C++ and the few words below. Kernel sources include
// this file alone, hold no inline assembly, no <<< >>> and no static __shared__ array, so that
// three targets can compile them, each with a gpu_target.h of its own on the include path:
//   kernels/cuda/device            nvcc: the words are instructions
//   tests/cuda_on_cpu/emulator     a C++ compiler: every CUDA thread is a fiber, every word is
//   checked tests/cuda_on_cpu/ptx          the same, but a launch interprets the PTX that nvcc made
//
// Of CUDA itself kernels use: threadIdx, blockIdx, blockDim, gridDim; __syncthreads, __syncwarp;
// __shfl_sync, __shfl_xor_sync, __shfl_down_sync, __shfl_up_sync, __ballot_sync, __any_sync,
// __all_sync with full masks; atomicAdd, atomicMax, atomicMin, atomicCAS on integers (never on
// floats: their order is not defined); __popc, __clz, __ffs; __float_as_uint, __uint_as_float;
// __nv_bfloat16 and __half with their conversions; the functions of <cmath> in float. Blocks are of
// whole warps.
//
// The words, all in namespace varve::gpu:
//
//   struct Launch { dim3 grid, block; unsigned shared; cudaStream_t stream; };
//   launch<kernel>(const Launch&, args...)    kernel<<<...>>>(args...), each argument converted to
//                                             its parameter's type. DeviceError if it cannot start.
//   VARVE_DYNAMIC_SHARED(name)                unsigned char* name: the block's dynamic shared
//                                             memory, aligned to 128 bytes, undefined at the start
//   float exp2_fast(float)                    2^x; hardware precision on a GPU (2 ulp)
//   std::uint32_t pack_bf16(float lo, float hi), pack_f16(lo, hi)
//                                             two numbers rounded to nearest, lo in the low half
//   void cp_async16(void* shared, const void* global, unsigned filled = 16)
//                                             begins to copy 16 bytes; those from `filled` (0 to
//                                             16) on become zero and are not read. Both aligned
//                                             to 16.
//   void cp_async_commit()                    what was begun since the last commit is a group
//   void cp_async_wait<N>()                   until at most N groups of this thread are under way
//   void ldmatrix_x4<Transposed>(std::uint32_t (&r)[4], const void* row)
//                                             four 8x8 matrices of 16-bit numbers from shared
//                                             memory; lane l names row l % 8 of matrix l / 8
//                                             (aligned to 16) and gets of matrix m in r[m] the pair
//                                             at row l / 4, columns 2 (l % 4) and the next; if
//                                             Transposed, of the transposed matrix
//   void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1)
//   void mma_f16(...)                         D += A B by the whole warp, m16n8k16, fragments as
//   the
//                                             PTX manual lays them out; products are added in float
#pragma once

#include <gpu_target.h>
