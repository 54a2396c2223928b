// cp.async: 16 bytes each from global to shared memory, in groups. On a GPU they arrive at some
// time between the issue and the wait; here at one of the two ends (schedule.h).
#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

#include "tests/cuda_on_cpu/emulator/place.h"

namespace varve::emulator {

struct AsyncCopy {
  static constexpr unsigned kBytes = 16;

  // Both are compiled with the kernel, so that the sanitizers see who touches what, and where.
  void land() const {
    if (filled == kBytes) {
      std::memcpy(to, from, kBytes);
      return;
    }
    if (filled > 0) std::memcpy(to, from, filled);
    std::memset(to + filled, 0, kBytes - filled);
  }
  void make_undefined() const { std::memset(to, 0xff, kBytes); }

  unsigned char* to;
  const unsigned char* from;
  unsigned filled;     // bytes that are read; the rest becomes zero
  unsigned group = 0;  // how many groups its thread had committed before
};

/// Those of one thread that were not waited for, oldest first.
class AsyncCopies {
 public:
  void push(AsyncCopy copy);
  void commit() { ++commits_; }
  /// The oldest one that is not of the `pending` groups committed last, nor of none; it is under
  /// way no longer. Null if there is none. Valid until the next push.
  const AsyncCopy* pop(unsigned pending);
  bool empty() const { return first_ == copies_.size(); }
  void clear();

 private:
  std::vector<AsyncCopy> copies_;
  std::size_t first_ = 0;  // of copies_ that is under way
  unsigned commits_ = 0;
};

/// Notes a copy of the current thread and checks its addresses. True if it lands now; if not, what
/// lies there is undefined until it does.
bool begin_copy(const AsyncCopy& copy, Place at);
void commit_copies();
/// One that lands now, of those that the current thread waits for when it lets `pending` groups be
/// under way; null when there are no more.
const AsyncCopy* next_landing(unsigned pending);

}  // namespace varve::emulator
