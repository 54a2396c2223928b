#include "tests/bench/bench.h"

#include <algorithm>

namespace varve::bench {

std::size_t cold_copies(std::size_t bytes) {
  return std::max<std::size_t>(1, (kColdBytes + bytes - 1) / bytes);
}

Activations::Activations(Bench& bench, std::size_t rows, std::size_t cols)
    : rows_(rows), cols_(cols), buffer_(bench.ops->allocate(rows * cols * sizeof(float))) {
  std::generate_n(buffer_.as<float>(), rows * cols, [&] { return bench.random.real(); });
}

void report(benchmark::State& state, const Peaks& peaks, const Work& work, double calls,
            double seconds) {
  const double flops = work.flops * calls / seconds;
  const double bytes = work.bytes * calls / seconds;
  state.counters["GB/s"] = 1e-9 * bytes;
  if (work.flops == 0) return;
  state.counters["GFLOP/s"] = 1e-9 * flops;
  state.counters["peak_%"] =
      100 * std::max(flops / peaks.flops_per_second, bytes / peaks.bytes_per_second);
}

}  // namespace varve::bench
