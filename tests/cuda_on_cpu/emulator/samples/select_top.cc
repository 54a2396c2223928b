// The indices of each row's k largest scores, ascending; of equal ones the first. A block for each
// row finds the k-th largest score eight bits at a time.
#include <algorithm>
#include <numeric>

#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/emulator/samples/sample.h"

namespace varve::samples {
namespace {

constexpr unsigned kThreads = 256;
constexpr unsigned kWarps = kThreads / 32;

struct Shared {
  unsigned bins[256];
  unsigned digit, missing;
  unsigned warps[kWarps];
};

// Orders as the float does.
__device__ unsigned order_key(float x) {
  const unsigned bits = __float_as_uint(x);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

// Those of them that begin with the digits found so far.
__device__ void count_digits(Shared& shared, const float* row, unsigned n, unsigned found,
                             unsigned shift, Bug bug) {
  for (unsigned i = threadIdx.x; i < n; i += kThreads) {
    const unsigned key = order_key(row[i]);
    if (shift < 24 && key >> (shift + 8) != found) continue;
    unsigned* const bin = &shared.bins[key >> shift & 255U];
    if (bug == Bug::kPlainAdd) {
      *bin += 1;
    } else {
      atomicAdd(bin, 1U);
    }
  }
}

__device__ void find_digit(Shared& shared, unsigned missing) {
  unsigned digit = 255;
  for (; shared.bins[digit] < missing; --digit) missing -= shared.bins[digit];
  shared.digit = digit;
  shared.missing = missing;
}

struct Rank {
  unsigned before, all;  // threads that say yes
};

__device__ Rank rank_in_block(Shared& shared, bool yes, Bug bug) {
  const unsigned warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  const unsigned votes = __ballot_sync(~0U, yes);
  if (lane == 0) shared.warps[warp] = __popc(votes);
  __syncthreads();
  Rank rank{static_cast<unsigned>(__popc(votes & ((1U << lane) - 1U))), 0};
  for (unsigned w = 0; w < kWarps; ++w) {
    if (w < warp) rank.before += shared.warps[w];
    rank.all += shared.warps[w];
  }
  if (bug != Bug::kNoBarrierBeforeWrite) __syncthreads();
  return rank;
}

__global__ void __launch_bounds__(kThreads)
    select_top(const float* scores, int* selected, unsigned n, unsigned k, Bug bug) {
  VARVE_DYNAMIC_SHARED(memory);
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  const float* const row = scores + std::size_t{blockIdx.x} * n;
  unsigned found = 0;    // digits of the k-th largest key
  unsigned missing = k;  // of the k, how many begin with them
  for (int shift = 24; shift >= 0; shift -= 8) {
    shared.bins[threadIdx.x] = 0;
    __syncthreads();
    count_digits(shared, row, n, found, static_cast<unsigned>(shift), bug);
    __syncthreads();
    if (threadIdx.x == 0) find_digit(shared, missing);
    __syncthreads();
    found = found << 8U | shared.digit;
    missing = shared.missing;
    if (bug == Bug::kSkippedBarrier && threadIdx.x == kThreads - 1) continue;
    __syncthreads();
  }
  unsigned written = 0;
  unsigned equals = 0;
  for (unsigned begin = 0; begin < n; begin += kThreads) {
    const unsigned i = begin + threadIdx.x;
    const unsigned key = i < n ? order_key(row[i]) : 0;
    const Rank equal = rank_in_block(shared, i < n && key == found, bug);
    const bool take = i < n && (key > found || (key == found && equals + equal.before < missing));
    const Rank taken = rank_in_block(shared, take, bug);
    const unsigned at = written + taken.before;
    if (take && at < k) selected[std::size_t{blockIdx.x} * k + at] = static_cast<int>(i);
    written += taken.all;
    equals += equal.all;
  }
}

std::vector<int> select_in_order(const float* row, std::size_t n, std::size_t k) {
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [row](int a, int b) { return row[a] > row[b]; });
  order.resize(k);
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

Outcome run_select_top(Bug bug) {
  constexpr std::size_t kRows = 3;
  constexpr std::size_t kScores = 700;
  constexpr std::size_t kSelected = 90;
  std::vector<float> scores = random_floats(kRows * kScores, 3);
  for (float& score : scores) score = std::round(score * 20) / 20;  // many are equal
  std::vector<int> selected(kRows * kSelected, -1);
  gpu::launch<select_top>({dim3(kRows), dim3(kThreads), sizeof(Shared)}, scores.data(),
                          selected.data(), static_cast<unsigned>(kScores),
                          static_cast<unsigned>(kSelected), bug);
  Outcome outcome;
  outcome.append(selected);
  for (std::size_t row = 0; row < kRows; ++row) {
    const std::vector<int> wanted = select_in_order(&scores[row * kScores], kScores, kSelected);
    for (std::size_t i = 0; i < kSelected; ++i) {
      outcome.compare(selected[row * kSelected + i], wanted[i], 0.5);
    }
  }
  return outcome;
}

}  // namespace varve::samples
