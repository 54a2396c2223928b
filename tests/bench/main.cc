// Benchmarks of the kernels. Google Benchmark's own options are all there, for example
//   kernel_bench --backend=cpu:avx2 --threads=2 --benchmark_filter='linear/q4_1/.*/T:1$'
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/cores.h"
#include "common/error.h"
#include "tests/bench/bench.h"

namespace varve::bench {
namespace {

constexpr const char* kOurOptions =
    "kernel_bench [--backend=NAME]  what computes: auto (default), cpu:avx2, ...\n"
    "             [--threads=N]     of the backend (default: the cores it may use)\n\n";

void print_help() {
  std::fputs(kOurOptions, stdout);
  benchmark::PrintDefaultHelp();
}

void run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv, print_help);  // takes its own options out
  std::string backend = "auto";
  std::size_t threads = usable_cores();
  CLI::App app;
  app.add_option("--backend", backend);
  app.add_option("--threads", threads)->check(CLI::PositiveNumber);
  app.parse(argc, argv);
  Bench bench{make_ops(backend, threads), measure_peaks(threads)};
  benchmark::AddCustomContext("backend", bench.ops->describe());
  benchmark::AddCustomContext("backend_threads", std::to_string(threads));
  benchmark::AddCustomContext(
      "peaks", fmt::format("{:.1f} GFLOP/s, {:.1f} GB/s", bench.peaks.flops_per_second * 1e-9,
                           bench.peaks.bytes_per_second * 1e-9));
  add_linear(bench);
  add_attend(bench);
  add_rows(bench);
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace
}  // namespace varve::bench

int main(int argc, char** argv) {
  try {
    varve::bench::run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
