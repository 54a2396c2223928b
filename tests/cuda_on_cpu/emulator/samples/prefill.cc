// Attention of new queries over a cache, as FlashAttention does it: a block takes 64 queries of one
// head, 16 for each warp, and goes over the keys in tiles. The next tile is copied while the warps
// compute on this one.
#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/emulator/samples/sample.h"

namespace varve::samples {
namespace {

constexpr int kThreads = 128;
constexpr int kQueryTile = 64;
constexpr int kKeyTile = 32;
constexpr int kPaddedDim = kHeadDim + 8;  // 16 bytes more: rows of a matrix lie in different banks
constexpr float kLog2E = 1.44269504F;

struct Tile {
  __nv_bfloat16 rows[kKeyTile][kPaddedDim];
};
struct Shared {
  Tile k[2], v[2];
};

struct Arguments {
  const __nv_bfloat16 *q, *k, *v;  // (queries, heads, dim), (keys, kv_heads, dim) twice
  __nv_bfloat16* out;              // as q
  float* lse;                      // (queries, heads)
  AttentionShape shape;
  Bug bug;
};

// Of one lane: the rows lane / 4 and lane / 4 + 8 of the warp's 16 queries.
struct State {
  float out[kHeadDim / 8][4] = {};
  float top[2] = {-INFINITY, -INFINITY};  // in units of log2
  float sum[2] = {};
};
using Scores = float[kKeyTile / 8][4];

__device__ int lane_number() {
  return static_cast<int>(threadIdx.x % 32);
}

// The first query of this warp.
__device__ int first_query() {
  return static_cast<int>(blockIdx.x) * kQueryTile + static_cast<int>(threadIdx.x / 32) * 16;
}

__device__ void copy_tile(Shared& shared, int tile, const Arguments& a) {
  static_assert(kKeyTile * kHeadDim / 8 == kThreads);
  const int row = static_cast<int>(threadIdx.x) / (kHeadDim / 8);
  const int column = static_cast<int>(threadIdx.x) % (kHeadDim / 8) * 8;
  const int key = tile * kKeyTile + row;
  const bool filled = key < a.shape.keys + (a.bug == Bug::kOneKeyTooMany ? 1 : 0);
  if (a.bug == Bug::kNoZeroFill && !filled) return;
  const int kv_head = static_cast<int>(blockIdx.y) / (a.shape.heads / a.shape.kv_heads);
  const int from = ((filled ? key : 0) * a.shape.kv_heads + kv_head) * kHeadDim + column;
  gpu::cp_async16(&shared.k[tile % 2].rows[row][column], a.k + from, filled ? 16 : 0);
  gpu::cp_async16(&shared.v[tile % 2].rows[row][column], a.v + from, filled ? 16 : 0);
}

__device__ void load_queries(std::uint32_t (&q)[kHeadDim / 16][4], const Arguments& a) {
  for (int part = 0; part < kHeadDim / 16; ++part) {
    for (int i = 0; i < 4; ++i) {
      const int row = first_query() + lane_number() / 4 + i % 2 * 8;
      const int column = part * 16 + lane_number() % 4 * 2 + i / 2 * 8;
      const int at = (row * a.shape.heads + static_cast<int>(blockIdx.y)) * kHeadDim + column;
      q[part][i] = row < a.shape.queries ? *reinterpret_cast<const std::uint32_t*>(a.q + at) : 0;
    }
  }
}

__device__ void score(Scores& scores, const std::uint32_t (&q)[kHeadDim / 16][4], const Tile& k,
                      Bug bug) {
  for (int keys = 0; keys < kKeyTile / 8; ++keys) {
    std::uint32_t b[4];
    gpu::ldmatrix_x4<false>(b, &k.rows[keys * 8 + lane_number() % 8][lane_number() / 8 * 8]);
    for (float& s : scores[keys]) s = 0;
    gpu::mma_bf16(scores[keys], q[0], b[0], b[1]);
    gpu::mma_bf16(scores[keys], q[1], b[2], b[bug == Bug::kWrongFragment ? 2 : 3]);
  }
}

__device__ void mask(Scores& scores, int tile, AttentionShape shape) {
  for (int keys = 0; keys < kKeyTile / 8; ++keys) {
    for (int i = 0; i < 4; ++i) {
      const int key = tile * kKeyTile + keys * 8 + lane_number() % 4 * 2 + i % 2;
      const int query = first_query() + lane_number() / 4 + i / 2 * 8;
      const bool seen = key < shape.keys && key <= query + shape.keys - shape.queries;
      scores[keys][i] = seen ? scores[keys][i] * (kScale * kLog2E) : -INFINITY;
    }
  }
}

// Scores become weights relative to the new maximum, and so does what was summed before.
__device__ void update(State& state, Scores& scores, int half) {
  float top = state.top[half];
  for (auto& s : scores) top = fmaxf(top, fmaxf(s[2 * half], s[2 * half + 1]));
  top = fmaxf(top, __shfl_xor_sync(~0U, top, 1));
  top = fmaxf(top, __shfl_xor_sync(~0U, top, 2));
  const float base = top == -INFINITY ? 0.0F : top;
  const float fade = gpu::exp2_fast(state.top[half] - base);
  state.top[half] = top;
  state.sum[half] *= fade;
  for (auto& out : state.out) {
    for (int i = 2 * half; i < 2 * half + 2; ++i) out[i] *= fade;
  }
  for (auto& s : scores) {
    for (int i = 2 * half; i < 2 * half + 2; ++i) {
      s[i] = gpu::exp2_fast(s[i] - base);
      state.sum[half] += s[i];
    }
  }
}

// The fragments that mma left of two groups of 8 keys are the A fragment of 16 keys.
__device__ void add_values(State& state, const Scores& weights, const Tile& v) {
  for (int keys = 0; keys < kKeyTile / 16; ++keys) {
    const float(&lo)[4] = weights[2 * keys];
    const float(&hi)[4] = weights[2 * keys + 1];
    const std::uint32_t a[4] = {gpu::pack_bf16(lo[0], lo[1]), gpu::pack_bf16(lo[2], lo[3]),
                                gpu::pack_bf16(hi[0], hi[1]), gpu::pack_bf16(hi[2], hi[3])};
    for (int part = 0; part < kHeadDim / 16; ++part) {
      std::uint32_t b[4];
      gpu::ldmatrix_x4<true>(
          b, &v.rows[keys * 16 + lane_number() % 16][part * 16 + lane_number() / 16 * 8]);
      gpu::mma_bf16(state.out[2 * part], a, b[0], b[1]);
      gpu::mma_bf16(state.out[2 * part + 1], a, b[2], b[3]);
    }
  }
}

__device__ void store(State& state, int half, const Arguments& a) {
  float sum = state.sum[half];
  sum += __shfl_xor_sync(~0U, sum, 1);
  sum += __shfl_xor_sync(~0U, sum, 2);
  const int query = first_query() + lane_number() / 4 + half * 8;
  if (query >= a.shape.queries) return;
  const int row = query * a.shape.heads + static_cast<int>(blockIdx.y);
  for (int part = 0; part < kHeadDim / 8; ++part) {
    const int column = part * 8 + lane_number() % 4 * 2;
    *reinterpret_cast<std::uint32_t*>(a.out + row * kHeadDim + column) =
        gpu::pack_bf16(state.out[part][2 * half] / sum, state.out[part][2 * half + 1] / sum);
  }
  if (lane_number() % 4 == 0) a.lse[row] = (state.top[half] + log2f(sum)) / kLog2E;
}

__global__ void __launch_bounds__(kThreads) prefill(Arguments a) {
  VARVE_DYNAMIC_SHARED(memory);
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  std::uint32_t q[kHeadDim / 16][4];
  load_queries(q, a);
  const int seen = (static_cast<int>(blockIdx.x) + 1) * kQueryTile + a.shape.keys - a.shape.queries;
  const int keys = seen < a.shape.keys ? seen : a.shape.keys;
  const int tiles = (keys + kKeyTile - 1) / kKeyTile;
  State state;
  copy_tile(shared, 0, a);
  gpu::cp_async_commit();
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles) copy_tile(shared, tile + 1, a);
    gpu::cp_async_commit();
    if (a.bug == Bug::kOneGroupTooFew) {
      gpu::cp_async_wait<2>();
    } else {
      gpu::cp_async_wait<1>();
    }
    if (a.bug != Bug::kNoBarrierAfterWait) __syncthreads();
    Scores scores;
    score(scores, q, shared.k[tile % 2], a.bug);
    mask(scores, tile, a.shape);
    for (int half = 0; half < 2; ++half) update(state, scores, half);
    add_values(state, scores, shared.v[tile % 2]);
    if (a.bug != Bug::kNoBarrierBeforeReuse) __syncthreads();
  }
  gpu::cp_async_wait<0>();
  for (int half = 0; half < 2; ++half) store(state, half, a);
}

void run_shape(Outcome& outcome, AttentionShape shape, Bug bug) {
  const auto queries = static_cast<std::size_t>(shape.queries * shape.heads);
  const auto keys = static_cast<std::size_t>(shape.keys * shape.kv_heads);
  const std::vector<__nv_bfloat16> q = random_bf16(queries * kHeadDim, 4);
  const std::vector<__nv_bfloat16> k = random_bf16(keys * kHeadDim, 5);
  const std::vector<__nv_bfloat16> v = random_bf16(keys * kHeadDim, 6);
  std::vector<__nv_bfloat16> out(q.size());
  std::vector<float> lse(queries);
  const auto blocks = static_cast<unsigned>((shape.queries + kQueryTile - 1) / kQueryTile);
  gpu::launch<prefill>(
      {dim3(blocks, static_cast<unsigned>(shape.heads)), dim3(kThreads), sizeof(Shared)},
      Arguments{q.data(), k.data(), v.data(), out.data(), lse.data(), shape, bug});
  outcome.append(out);
  outcome.append(lse);
  const AttentionResult wanted = attend_in_double(shape, q, k, v);
  // Weights and results are rounded to bfloat16, and no value is larger than 1.
  for (std::size_t i = 0; i < out.size(); ++i) {
    outcome.compare(__bfloat162float(out[i]), wanted.out[i], 0x1p-7);
  }
  for (std::size_t i = 0; i < lse.size(); ++i) outcome.compare(lse[i], wanted.lse[i], 1e-5);
}

}  // namespace

// Shorter than a tile; and several blocks and tiles, with ragged ends, behind a cache.
Outcome run_prefill(Bug bug) {
  Outcome outcome;
  run_shape(outcome, {20, 20, 1, 1}, bug);
  run_shape(outcome, {70, 120, 2, 1}, bug);
  return outcome;
}

}  // namespace varve::samples
