#include "kernels/cpu/targets.h"
// Highway includes this file once per instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/peaks.cc"
#include "hwy/foreach_target.h"
// Behind foreach_target.h, by Highway's rules.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/peaks.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/host_memory.h"

HWY_BEFORE_NAMESPACE();
namespace varve::HWY_NAMESPACE {

// Enough chains to hide the latency of every core there is (4 cycles, 2 a cycle), few enough for 16
// registers.
constexpr std::size_t kChains = 12;

// Returns the operations done; what was computed goes to `sink`, or it would not be computed.
double multiply_add(std::size_t rounds, std::atomic<std::uint64_t>& sink) {
  const TagF d;
  VecF chains[kChains];
  VARVE_UNROLL
  for (std::size_t i = 0; i < kChains; ++i) chains[i] = hn::Set(d, static_cast<float>(i));
  const VecF factor = hn::Set(d, 0.999F);  // keeps every chain between 0 and 100
  const VecF term = hn::Set(d, 0.01F);
  for (std::size_t round = 0; round < rounds; ++round) {
    VARVE_UNROLL
    for (std::size_t i = 0; i < kChains; ++i) chains[i] = hn::MulAdd(chains[i], factor, term);
  }
  VecF sum = chains[0];
  VARVE_UNROLL
  for (std::size_t i = 1; i < kChains; ++i) sum = hn::Add(sum, chains[i]);
  sink += static_cast<std::uint64_t>(hn::GetLane(hn::SumOfLanes(d, sum)));
  return static_cast<double>(2 * rounds * kChains * hn::Lanes(d));
}

// Reads `bytes`, a multiple of eight vectors, as fast as loads come.
void read_all(const std::uint8_t* from, std::size_t bytes, std::atomic<std::uint64_t>& sink) {
  const TagU d;
  constexpr std::size_t kStreams = 8;
  constexpr std::size_t kVector = kLanes * sizeof(std::uint32_t);
  VecU seen[kStreams];
  VARVE_UNROLL
  for (std::size_t i = 0; i < kStreams; ++i) seen[i] = hn::Zero(d);
  for (std::size_t at = 0; at < bytes; at += kStreams * kVector) {
    const auto* words = reinterpret_cast<const std::uint32_t*>(from + at);
    VARVE_UNROLL
    for (std::size_t i = 0; i < kStreams; ++i) {
      seen[i] = hn::Or(seen[i], hn::Load(d, words + i * kLanes));
    }
  }
  VARVE_UNROLL
  for (std::size_t i = 1; i < kStreams; ++i) seen[0] = hn::Or(seen[0], seen[i]);
  sink += hn::GetLane(seen[0]);
}

}  // namespace varve::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace varve {
namespace {

HWY_EXPORT(multiply_add);
HWY_EXPORT(read_all);

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRounds = std::size_t{1} << 21U;  // some 5 ms
constexpr int kMostRuns = 12;
constexpr int kLeastRuns = 2;
constexpr double kSeconds = 0.5;  // enough for all runs on a current machine
constexpr std::size_t kPiece = std::size_t{1} << 20U;
constexpr std::size_t kLeastBuffer = std::size_t{256} << 20U;
constexpr std::size_t kMostBuffer = std::size_t{1} << 30U;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::size_t buffer_bytes() {
  const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);  // 0 or -1 where it is not known
  const std::size_t wanted = cache > 0 ? 4 * static_cast<std::size_t>(cache) : 0;
  return std::clamp(wanted, kLeastBuffer, kMostBuffer) / kPiece * kPiece;
}

// The best of what `run`, a rate, gives: a machine that is slow or busy has fewer tries.
template <class Run>
double best_rate(const Run& run) {
  const Clock::time_point begin = Clock::now();
  double best = 0;
  for (int i = 0; i < kMostRuns && (i < kLeastRuns || seconds_since(begin) < kSeconds); ++i) {
    best = std::max(best, run());
  }
  return best;
}

double best_flops(ThreadPool& pool, std::int64_t target, std::atomic<std::uint64_t>& sink) {
  const auto kernel = VARVE_DISPATCH(multiply_add, target);
  return best_rate([&] {
    std::atomic<double> done = 0;
    const Clock::time_point begin = Clock::now();
    pool.each(pool.size(), [&](std::size_t, std::size_t) { done += kernel(kRounds, sink); });
    return done / seconds_since(begin);
  });
}

double best_read(ThreadPool& pool, std::int64_t target, std::atomic<std::uint64_t>& sink) {
  const auto kernel = VARVE_DISPATCH(read_all, target);
  const Buffer buffer = allocate_host(buffer_bytes());
  auto* bytes = static_cast<std::uint8_t*>(buffer.data());
  const std::size_t pieces = buffer.bytes() / kPiece;
  // Touched by the threads that read it later, more or less, so that it lies near them.
  pool.each(pieces,
            [&](std::size_t i, std::size_t) { std::memset(bytes + i * kPiece, 1, kPiece); });
  return best_rate([&] {
    const Clock::time_point begin = Clock::now();
    pool.each(pieces,
              [&](std::size_t i, std::size_t) { kernel(bytes + i * kPiece, kPiece, sink); });
    return static_cast<double>(buffer.bytes()) / seconds_since(begin);
  });
}

}  // namespace

Peaks measure_peaks(std::size_t threads) {
  const std::int64_t target = isas().front().target;
  std::atomic<std::uint64_t> sink = 0;
  ThreadPool pool(threads);
  Peaks peaks;
  peaks.flops_per_second = best_flops(pool, target, sink);
  peaks.bytes_per_second = best_read(pool, target, sink);
  return peaks;
}

}  // namespace varve
#endif
