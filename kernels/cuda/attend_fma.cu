// Attention in float32, with the units that add and multiply one number at a time: for float32
// rows, for head sizes that matrix units cannot take, and as the plain twin of attend_mma.cu. A
// block folds 16 queries into one run of a key head.
#include "kernels/cuda/attend_math.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/row_codec.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kQueries = 16;   // of a tile
constexpr std::uint32_t kMostDim = 256;  // a thread sums kMostDim / kThreads channels

// Dynamic shared memory of a block, in floats.
struct Shared {
  float* q;             // [kQueries, D]
  float* rows;          // [kTileKeys, D + 1]: keys, then values, of a tile
  float* scores;        // [kQueries, kTileKeys]: scores, then weights
  float* top;           // [kQueries]
  float* sum;           // [kQueries]
  float* fade;          // [kQueries]: what sums so far are multiplied by
  std::int32_t* sees;   // [kQueries]: position of the query, or kNoQuery
  std::int32_t* where;  // [kTileKeys]: position of the key, INT32_MAX for none

  __device__ Shared(unsigned char* memory, std::uint32_t dim) {
    q = reinterpret_cast<float*>(memory);
    rows = q + kQueries * dim;
    scores = rows + kTileKeys * (dim + 1);
    top = scores + kQueries * kTileKeys;
    sum = top + kQueries;
    fade = sum + kQueries;
    sees = reinterpret_cast<std::int32_t*>(fade + kQueries);
    where = sees + kQueries;
  }
};

__device__ void load_queries(const Attention& a, const QueryTile& tile, const Shared& s) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t i = threadIdx.x; i < kQueries * dim; i += kThreads) {
    const std::uint32_t j = i / dim;
    s.q[i] = tile.has(j) ? a.q.data[tile.row(j) * a.q.stride + tile.head(j) * dim + i % dim] : 0;
  }
  if (threadIdx.x < kQueries) {
    const std::uint32_t j = threadIdx.x;
    s.sees[j] = tile.has(j) ? a.q_positions[tile.row(j)] : kNoQuery;
  }
}

// What the queries of a tile see between them.
__device__ Sight sight_of(const Attention& a, const Shared& s) {
  Sight sight;
  for (std::uint32_t j = 0; j < kQueries; ++j) sight.add(s.sees[j], a.window);
  return sight;
}

// Keys or values of rows [begin, begin + kTileKeys); zeros behind the head's end.
template <bool Keys>
__device__ void load_tile(const Attention& a, const Head& head, std::uint32_t begin,
                          const Shared& s) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t i = threadIdx.x; i < kTileKeys * dim; i += kThreads) {
    const std::uint32_t row = begin + i / dim;
    float x = 0;
    if (row < head.rows) {
      x = Keys ? key_number(head.keys, a.format, dim, row, i % dim)
               : value_number(head.values, a.format, dim, row, i % dim);
    }
    s.rows[i / dim * (dim + 1) + i % dim] = x;
  }
  if (Keys && threadIdx.x < kTileKeys) {
    const std::uint32_t row = begin + threadIdx.x;
    s.where[threadIdx.x] = row < head.rows ? head.positions[row] : INT32_MAX;
  }
}

__device__ void score(const Attention& a, const Shared& s) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t i = threadIdx.x; i < kQueries * kTileKeys; i += kThreads) {
    const std::uint32_t j = i / kTileKeys;
    const std::uint32_t key = i % kTileKeys;
    float dot = 0;
    for (std::uint32_t d = 0; d < dim; ++d) {
      dot = fmaf(s.q[j * dim + d], s.rows[key * (dim + 1) + d], dot);
    }
    s.scores[i] = is_visible(s.where[key], s.sees[j], a.window) ? dot * a.scale : minus_infinity();
  }
}

// Scores become weights relative to the largest score so far. Threads of a warp take a query each
// time; the sum is a fixed tree.
__device__ void weigh(const Shared& s) {
  const std::uint32_t lane = threadIdx.x % 32;
  for (std::uint32_t j = threadIdx.x / 32; j < kQueries; j += kThreads / 32) {
    float* scores = s.scores + j * kTileKeys;
    float top = fmaxf(scores[lane], scores[lane + 32]);
    for (int step = 16; step > 0; step /= 2) {
      top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, step));
    }
    top = fmaxf(top, s.top[j]);
    const float base = top == minus_infinity() ? 0 : top;
    const float a = exp_f32(scores[lane] - base);
    const float b = exp_f32(scores[lane + 32] - base);
    float sum = a + b;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffU, sum, step);
    scores[lane] = a;
    scores[lane + 32] = b;
    __syncwarp();
    if (lane == 0) {
      s.fade[j] = exp_f32(s.top[j] - base);
      s.sum[j] = fmaf(s.sum[j], s.fade[j], sum);
      s.top[j] = top;
    }
  }
}

// acc[j][c]: query j, channel threadIdx.x + c * kThreads.
using Sums = float[kQueries][kMostDim / kThreads];

__device__ void add_values(std::uint32_t dim, const Shared& s, Sums& acc) {
  for (std::uint32_t c = 0; c < kMostDim / kThreads; ++c) {
    const std::uint32_t d = threadIdx.x + c * kThreads;
    if (d >= dim) break;
    for (std::uint32_t j = 0; j < kQueries; ++j) {
      float x = acc[j][c] * s.fade[j];
      for (std::uint32_t key = 0; key < kTileKeys; ++key) {
        x = fmaf(s.scores[j * kTileKeys + key], s.rows[key * (dim + 1) + d], x);
      }
      acc[j][c] = x;
    }
  }
}

// Where the partial of a query goes; merging, if it is a state.
template <bool Merging>
__device__ void store(const Attention& a, const QueryTile& tile, const Partials& to,
                      std::uint32_t row_offset, const Shared& s, const Sums& acc) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t j = 0; j < kQueries; ++j) {
    if (!tile.has(j)) break;
    const std::size_t row = tile.row(j) + row_offset;
    float* lse_at = to.lse + row * to.lse_stride + tile.head(j);
    const float sum = s.sum[j];
    const float lse = sum > 0 ? s.top[j] + log_f32(sum) : minus_infinity();
    const Merge merge = Merging ? merge_of(*lse_at, lse) : Merge{0, 1, lse, true};
    __syncthreads();  // all have read the old lse
    for (std::uint32_t c = 0; c < kMostDim / kThreads; ++c) {
      const std::uint32_t d = threadIdx.x + c * kThreads;
      if (d >= dim || !merge.takes) break;
      float* out = to.out + row * to.out_stride + tile.head(j) * dim + d;
      const float x = sum > 0 ? acc[j][c] / sum : 0.0F;
      *out = Merging ? merged(merge, *out, x) : x;
    }
    if (threadIdx.x == 0 && merge.takes) *lse_at = merge.lse;
  }
}

// Folds run `run` of a head for a tile.
template <bool Merging>
__device__ void fold_run(const Attention& a, const Head& head, const QueryTile& tile,
                         std::uint32_t run, const Partials& to, std::uint32_t row_offset,
                         const Shared& s) {
  const Sight sight = sight_of(a, s);
  Sums acc{};
  if (threadIdx.x < kQueries) {
    s.top[threadIdx.x] = minus_infinity();
    s.sum[threadIdx.x] = 0;
  }
  const std::uint32_t end = min((run + 1) * kRunRows, head.rows);
  for (std::uint32_t begin = run * kRunRows; begin < end; begin += kTileKeys) {
    if (!sight.reaches(head.positions[begin])) break;
    if (sight.is_past(head.positions[min(begin + kTileKeys, end) - 1])) continue;
    __syncthreads();  // the last tile's values are used
    load_tile<true>(a, head, begin, s);
    __syncthreads();
    score(a, s);
    __syncthreads();
    load_tile<false>(a, head, begin, s);
    weigh(s);
    __syncthreads();
    add_values(a.head_dim, s, acc);
  }
  __syncthreads();
  store<Merging>(a, tile, to, row_offset, s, acc);
  __syncthreads();  // before the next run
}

}  // namespace

// Blocks [tiles of an item's rows, Hkv].
__global__ void __launch_bounds__(kThreads)
    fma_rows(Attention a, const Head* heads, std::uint32_t row_begin, std::uint32_t row_count,
             Partials state) {
  VARVE_DYNAMIC_SHARED(memory);
  const Shared s(memory, a.head_dim);
  const std::uint32_t group = a.q_heads / a.kv_heads;
  const QueryTile tile{row_begin, row_count, blockIdx.x * kQueries, blockIdx.y, group};
  const Head head = heads[blockIdx.y];
  load_queries(a, tile, s);
  __syncthreads();
  for (std::uint32_t run = 0; run * kRunRows < head.rows; ++run) {
    fold_run<true>(a, head, tile, run, state, 0, s);
  }
}

// Blocks [tasks, tiles of the task with most rows, Hkv].
__global__ void __launch_bounds__(kThreads)
    fma_runs(Attention a, const Head* heads, const RunTask* tasks, Partials slots) {
  VARVE_DYNAMIC_SHARED(memory);
  const Shared s(memory, a.head_dim);
  const RunTask task = tasks[blockIdx.x];
  const std::uint32_t group = a.q_heads / a.kv_heads;
  const QueryTile tile{task.row_begin, task.row_count, blockIdx.y * kQueries, blockIdx.z, group};
  if (!tile.has(0)) return;
  const Head head = heads[task.item * a.kv_heads + blockIdx.z];
  load_queries(a, tile, s);
  __syncthreads();
  fold_run<false>(a, head, tile, task.run, slots, task.slot - task.row_begin, s);
}

namespace {

unsigned shared_bytes(std::int32_t head_dim) {
  const auto dim = static_cast<unsigned>(head_dim);
  return 4 *
         (kQueries * dim + kTileKeys * (dim + 1) + kQueries * kTileKeys + 4 * kQueries + kTileKeys);
}

}  // namespace

void attend_fma_rows(const AttendRows& call, cudaStream_t stream) {
  const Attention& a = call.attention;
  const std::uint32_t queries = call.row_count * (a.q_heads / a.kv_heads);
  const dim3 grid((queries + kQueries - 1) / kQueries, a.kv_heads);
  gpu::launch<fma_rows>({grid, dim3(kThreads), shared_bytes(a.head_dim), stream}, a, call.heads,
                        call.row_begin, call.row_count, call.state);
}

void attend_fma_runs(const AttendRuns& call, cudaStream_t stream) {
  const Attention& a = call.attention;
  const std::uint32_t queries = call.most_rows * (a.q_heads / a.kv_heads);
  const dim3 grid(call.task_count, (queries + kQueries - 1) / kQueries, a.kv_heads);
  gpu::launch<fma_runs>({grid, dim3(kThreads), shared_bytes(a.head_dim), stream}, a, call.heads,
                        call.tasks, call.slots);
}

}  // namespace varve::cuda
