// What kernels use of CUDA's language itself (the list is in kernels/cuda/gpu.h), for a C++
// compiler. What is not on the list does not compile.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "tests/cuda_on_cpu/emulator/barrier.h"
#include "tests/cuda_on_cpu/emulator/collectives.h"
#include "tests/cuda_on_cpu/emulator/place.h"
#include "tests/cuda_on_cpu/emulator/variables.h"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
// It would be one array for all blocks, or one for each thread.
#define __shared__ _Pragma("GCC error \"a static __shared__ array: use VARVE_DYNAMIC_SHARED\"")

// The line of the kernel that says the word.
#define VARVE_EMULATOR_AT varve::emulator::Place at = varve::emulator::Place::here()

inline void __syncthreads(VARVE_EMULATOR_AT) {
  varve::emulator::sync_threads(at);
}

inline void __syncwarp(unsigned mask = ~0U, VARVE_EMULATOR_AT) {
  varve::emulator::sync_warp(mask, at);
}

namespace varve::emulator {

template <class T>
concept Shuffled = std::is_arithmetic_v<T> &&(sizeof(T) == 4 || sizeof(T) == 8);

/// Float atomics are not among them: their order is not defined, so their sums are not either.
template <class T>
concept Atomic =
    std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;

template <Shuffled T>
T shuffle_value(Word word, unsigned mask, T value, int amount, int width, Place at) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const std::uint64_t taken = shuffle(word, mask, std::bit_cast<Bits>(value), amount, width, at);
  return std::bit_cast<T>(static_cast<Bits>(taken));
}

// Writes it if `takes(old)`. Relaxed, so that to the thread sanitizer it orders nothing else.
template <Atomic T, class Takes>
T replace_if(T* p, T value, const Takes& takes) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (takes(old) &&
         !__atomic_compare_exchange_n(p, &old, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

}  // namespace varve::emulator

template <varve::emulator::Shuffled T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, VARVE_EMULATOR_AT) {
  using varve::emulator::Word;
  return varve::emulator::shuffle_value(Word::kShfl, mask, value, lane, width, at);
}

template <varve::emulator::Shuffled T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, VARVE_EMULATOR_AT) {
  using varve::emulator::Word;
  return varve::emulator::shuffle_value(Word::kShflXor, mask, value, lanes, width, at);
}

template <varve::emulator::Shuffled T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, VARVE_EMULATOR_AT) {
  using varve::emulator::Word;
  return varve::emulator::shuffle_value(Word::kShflUp, mask, value, static_cast<int>(delta), width,
                                        at);
}

template <varve::emulator::Shuffled T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, VARVE_EMULATOR_AT) {
  using varve::emulator::Word;
  return varve::emulator::shuffle_value(Word::kShflDown, mask, value, static_cast<int>(delta),
                                        width, at);
}

inline unsigned __ballot_sync(unsigned mask, int vote, VARVE_EMULATOR_AT) {
  return varve::emulator::ballot(varve::emulator::Word::kBallot, mask, vote != 0, at);
}

inline int __any_sync(unsigned mask, int vote, VARVE_EMULATOR_AT) {
  return varve::emulator::ballot(varve::emulator::Word::kAny, mask, vote != 0, at) != 0;
}

inline int __all_sync(unsigned mask, int vote, VARVE_EMULATOR_AT) {
  return varve::emulator::ballot(varve::emulator::Word::kAll, mask, vote != 0, at) == mask;
}

template <varve::emulator::Atomic T>
T atomicAdd(T* p, std::type_identity_t<T> value) {
  return __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
}

template <varve::emulator::Atomic T>
T atomicMax(T* p, std::type_identity_t<T> value) {
  return varve::emulator::replace_if(p, value, [value](T old) { return old < value; });
}

template <varve::emulator::Atomic T>
T atomicMin(T* p, std::type_identity_t<T> value) {
  return varve::emulator::replace_if(p, value, [value](T old) { return value < old; });
}

template <varve::emulator::Atomic T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return varve::emulator::replace_if(p, value, [expected](T old) { return old == expected; });
}

// Of one type only: CUDA would take an int and an unsigned, and compare them as unsigned.
template <std::integral T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}

template <std::integral T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

inline int __popc(unsigned x) {
  return std::popcount(x);
}

inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}

inline int __ffs(int x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1;
}

inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}

inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
