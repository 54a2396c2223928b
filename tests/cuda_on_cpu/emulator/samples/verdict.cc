#include "tests/cuda_on_cpu/emulator/samples/verdict.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/cuda_on_cpu/emulator/samples/sample.h"
#include "tests/cuda_on_cpu/emulator/schedule.h"
#include "tests/cuda_on_cpu/kernel_error.h"

namespace varve::samples {

Verdict judge(Bug bug) {
  Verdict verdict;
  std::vector<std::byte> first;
  const emulator::Schedule before = emulator::schedule();
  for (const char* text : {"forward,early", "reverse,late", "random:1,early", "random:2,late"}) {
    emulator::set_schedule(emulator::parse_schedule(text));
    try {
      const Outcome outcome = run_sample(bug);
      verdict.error = std::max(verdict.error, outcome.error);
      if (first.empty()) first = outcome.bytes;
      verdict.depends_on_order |= outcome.bytes != first;
    } catch (const KernelError& error) {
      if (verdict.report.empty()) verdict.report = error.what();
    }
  }
  emulator::set_schedule(before);
  return verdict;
}

std::string to_string(const Verdict& verdict) {
  if (verdict.clean()) return "clean";
  std::string text = fmt::format("error {:.3g} of the tolerance", verdict.error);
  if (verdict.depends_on_order) text += "; depends on the order";
  if (!verdict.report.empty()) text += "; " + verdict.report;
  return text;
}

}  // namespace varve::samples
