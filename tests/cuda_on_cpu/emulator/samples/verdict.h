// A sample kernel under several schedules, as every kernel test is run.
#pragma once

#include <string>

#include "tests/cuda_on_cpu/emulator/samples/bug.h"

namespace varve::samples {

struct Verdict {
  double error = 0;               // the largest of all schedules, as a share of what is tolerated
  bool depends_on_order = false;  // two schedules gave different bits
  std::string report;             // of the first KernelError, if there was one

  bool clean() const { return error <= 1 && !depends_on_order && report.empty(); }
};

Verdict judge(Bug bug);
std::string to_string(const Verdict& verdict);

}  // namespace varve::samples
