// What the benchmarks of kernels share: the backend, rates against this machine's peaks, and work
// data that a real step would find as cold.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cpu/peaks.h"
#include "kernels/ops.h"
#include "tests/kernels/fixtures.h"

namespace varve::bench {

/// The model whose shapes are measured: SmolLM2-135M.
inline constexpr std::size_t kHidden = 576;
inline constexpr std::size_t kFeedForward = 1536;
inline constexpr std::size_t kKeyColumns = 192;
inline constexpr std::size_t kVocabulary = 49152;
inline constexpr std::size_t kHeads = 9;
inline constexpr std::size_t kKeyHeads = 3;
inline constexpr std::size_t kHeadDim = 64;

/// A step reads each layer's weights and rows once, behind those of all other layers: from memory,
/// not from a cache. So a benchmark goes round in copies of at least this size together.
inline constexpr std::size_t kColdBytes = std::size_t{128} << 20U;

struct Bench {
  std::unique_ptr<Ops> ops;
  Peaks peaks;
  test::Random random{17};
};

/// Copies of `bytes` that make kColdBytes.
std::size_t cold_copies(std::size_t bytes);

/// float32 activations in the backend's memory, which is aligned as in a run.
class Activations {
 public:
  Activations(Bench& bench, std::size_t rows, std::size_t cols);

  Matrix view() const { return {buffer_.as<float>(), rows_, cols_, cols_}; }
  double bytes() const { return static_cast<double>(rows_ * cols_ * sizeof(float)); }

 private:
  std::size_t rows_, cols_;
  Buffer buffer_;
};

/// What one call has to do at the least.
struct Work {
  double flops = 0;  // a multiply-add is two
  double bytes = 0;  // read or written once
};

/// Adds the rates of `calls` calls in `seconds` to the benchmark's row. "peak_%" is the least time
/// that this machine's peaks allow as a share of the time taken; work that computes little is as
/// fast as a cache and has none.
void report(benchmark::State& state, const Peaks& peaks, const Work& work, double calls,
            double seconds);

/// Times call(i), i = 0, 1, ...
template <class Call>
void measure(benchmark::State& state, const Bench& bench, const Work& work, const Call& call) {
  using Clock = std::chrono::steady_clock;
  std::size_t i = 0;
  const auto begin = Clock::now();
  for (auto _ : state) call(i++);
  const std::chrono::duration<double> elapsed = Clock::now() - begin;
  report(state, bench.peaks, work, static_cast<double>(i), elapsed.count());
}

/// Google Benchmark enters a benchmark several times to find how often to repeat it, and neighbours
/// often share their data: the last scene made is kept until another name is asked for.
template <class Scene>
class LastScene {
 public:
  template <class Make>
  Scene& get(const std::string& name, const Make& make) {
    if (!scene_ || name != name_) {
      scene_.reset();  // two at once might not fit into memory
      scene_.emplace(make());
      name_ = name;
    }
    return *scene_;
  }

 private:
  std::string name_;
  std::optional<Scene> scene_;
};

/// Registers `run(state)`, timed by the clock on the wall: the work may be spread over threads.
template <class Run>
void add(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), std::move(run))
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

// The benchmarks. `bench` must outlive their run.
void add_linear(Bench& bench);
void add_attend(Bench& bench);
void add_rows(Bench& bench);

}  // namespace varve::bench
