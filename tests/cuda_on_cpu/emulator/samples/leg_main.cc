// leg BUG: runs the sample that has this bug, or all without one, in a sanitizer's build. Exits
// with 0 if nothing was found, 1 if the values or the emulator showed it; the sanitizers end it
// otherwise.
#include <cstdio>
#include <cstdlib>

#include "tests/cuda_on_cpu/emulator/samples/verdict.h"

int main(int argc, char** argv) {
  using namespace varve::samples;
  const Verdict verdict = judge(static_cast<Bug>(argc > 1 ? std::atoi(argv[1]) : 0));
  std::puts(to_string(verdict).c_str());
  return verdict.clean() ? 0 : 1;
}
