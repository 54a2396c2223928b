// What the sanitizers must be told about fibers and shared memory; nothing in a plain build.
//
// Address: which stack is in use, and which bytes of the shared memory a block may touch.
// Thread: every CUDA thread is a thread to it, and only what the words of CUDA order is ordered, so
// a missing __syncthreads is a data race whatever the schedule was. For that the emulator itself
// must not be instrumented (its own state is shared without locks, as one thread really runs):
// CMake compiles it with -fno-sanitize=thread and says VARVE_EMULATOR_THREAD_SANITIZER.
// So this header is for the emulator's own sources only; what they share with kernels is declared
// in headers that do not include it.
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define VARVE_EMULATOR_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define VARVE_EMULATOR_ADDRESS_SANITIZER 1
#endif

#ifdef VARVE_EMULATOR_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

namespace varve::emulator {

#ifdef VARVE_EMULATOR_ADDRESS_SANITIZER
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

/// Nothing may touch these bytes from now on (address).
inline void forbid([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t size) {
#ifdef VARVE_EMULATOR_ADDRESS_SANITIZER
  __asan_poison_memory_region(p, size);
#endif
}

inline void allow([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t size) {
#ifdef VARVE_EMULATOR_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(p, size);
#endif
}

/// Something that orders threads, for the thread sanitizer: what happened before `release` happened
/// before what follows `acquire` in another thread.
class Ordering {
 public:
  void release() {
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
    __tsan_release(this);
#endif
  }
  void acquire() {
#ifdef VARVE_EMULATOR_THREAD_SANITIZER
    __tsan_acquire(this);
#endif
  }

 private:
  char room_[8] = {};  // an address of its own
};

}  // namespace varve::emulator
