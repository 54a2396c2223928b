// Prints the bytes that the sample kernels compute, a line for each sample, as hexadecimal numbers.
// It is built twice, for the emulator and for the interpreter: same_bits_test.cc compares.
#include <cstdio>

#include "tests/cuda_on_cpu/emulator/samples/sample.h"

int main() {
  using namespace varve::samples;
  for (const auto run : {run_row_norm, run_select_top, run_prefill, run_decode}) {
    for (const std::byte byte : run(Bug::kNone).bytes) std::printf("%02x", static_cast<int>(byte));
    std::puts("");
  }
}
