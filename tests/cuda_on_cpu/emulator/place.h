// Where in a kernel's source a thread stands, and at which of CUDA's words.
#pragma once

#include <cstring>

namespace varve::emulator {

/// As a default argument it is the line of the caller. (std::source_location, which clang 14
/// lacks.)
struct Place {
  const char* file = "";
  int line = 0;

  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  friend bool operator==(const Place& a, const Place& b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
  }
};

/// The words at which threads meet, or that can be said wrongly.
enum class Word : unsigned char {
  kSyncthreads,
  kSyncwarp,
  kShfl,
  kShflXor,
  kShflUp,
  kShflDown,
  kBallot,
  kAny,
  kAll,
  kLdmatrix,
  kMmaBf16,
  kMmaF16,
};

/// As a kernel spells it.
const char* name(Word word);

}  // namespace varve::emulator
