// Attention of one query over a long cache: blocks take a part of the keys each, and a second
// kernel merges what they found. Four lanes read a key together, 16 bytes each.
#include "kernels/cuda/gpu.h"
#include "tests/cuda_on_cpu/emulator/samples/sample.h"

namespace varve::samples {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kPart = kHeadDim / 4;  // of a row, for one lane
constexpr float kLog2E = 1.44269504F;

// out, then the maximum and the sum of weights, in units of log2
constexpr int kStateFloats = kHeadDim + 2;

struct State {
  float out[kPart] = {};
  float top = -INFINITY;
  float sum = 0;
};

__device__ void load_part(float (&part)[kPart], const __nv_bfloat16* row) {
  // Number by number: of a copy of all four clang's sanitizer does not check the alignment.
  const auto* const bits = reinterpret_cast<const uint4*>(row);
  const unsigned words[4] = {bits->x, bits->y, bits->z, bits->w};
  for (int i = 0; i < kPart; ++i) {
    part[i] = __uint_as_float(i % 2 == 0 ? words[i / 2] << 16U : words[i / 2] & 0xffff0000U);
  }
}

__device__ void add(State& state, float score, const float (&v)[kPart]) {
  const float top = fmaxf(state.top, score);
  const float base = top == -INFINITY ? 0.0F : top;
  const float fade = gpu::exp2_fast(state.top - base);
  const float weight = gpu::exp2_fast(score - base);
  state.top = top;
  state.sum = state.sum * fade + weight;
  for (int i = 0; i < kPart; ++i) state.out[i] = state.out[i] * fade + weight * v[i];
}

// With the lane that differs in these bits.
__device__ void merge(State& state, int lanes) {
  const float other = __shfl_xor_sync(~0U, state.top, lanes);
  const float top = fmaxf(state.top, other);
  const float base = top == -INFINITY ? 0.0F : top;
  const float mine = gpu::exp2_fast(state.top - base);
  const float theirs = gpu::exp2_fast(other - base);
  state.top = top;
  state.sum = state.sum * mine + __shfl_xor_sync(~0U, state.sum, lanes) * theirs;
  for (float& out : state.out) {
    out = out * mine + __shfl_xor_sync(~0U, out, lanes) * theirs;
  }
}

// Grid (splits, heads). Every block leaves the merged states of its warps in states (splits,
// heads).
__global__ void __launch_bounds__(kThreads)
    decode_split(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                 float* states, int keys, Bug bug) {
  VARVE_DYNAMIC_SHARED(memory);
  auto* const of_warps = reinterpret_cast<float*>(memory);  // (kWarps, kStateFloats)
  const int thread = static_cast<int>(threadIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const int heads = static_cast<int>(gridDim.y);
  const int column = thread % 4 * kPart;
  const int per_block = (keys + static_cast<int>(gridDim.x) - 1) / static_cast<int>(gridDim.x);
  const int begin = static_cast<int>(blockIdx.x) * per_block;
  const int end = begin + per_block < keys ? begin + per_block : keys;
  float mine[kPart], row[kPart];
  load_part(mine, q + head * kHeadDim + column);
  State state;
  for (int key = begin; key < end; key += kThreads / 4) {
    const int my_key = key + thread / 4;
    const int from = ((my_key < end ? my_key : begin) * heads + head) * kHeadDim + column;
    load_part(row, k + from + (bug == Bug::kMisaligned ? 1 : 0));
    float score = 0;
    for (int i = 0; i < kPart; ++i) score += mine[i] * row[i];
    score += __shfl_xor_sync(~0U, score, 1);
    score += __shfl_xor_sync(~0U, score, 2);
    load_part(row, v + from);
    add(state, my_key < end ? score * (kScale * kLog2E) : -INFINITY, row);
  }
  for (int lanes = 4; lanes < 32; lanes *= 2) merge(state, lanes);
  float* const of_warp = of_warps + thread / 32 * kStateFloats;
  if (thread % 32 < 4) {
    for (int i = 0; i < kPart; ++i) of_warp[column + i] = state.out[i];
  }
  if (thread % 32 == 0) {
    of_warp[kHeadDim] = state.top;
    of_warp[kHeadDim + (bug == Bug::kNextElement ? 2 : 1)] = state.sum;
  }
  __syncthreads();
  if (thread >= kStateFloats) return;
  float* const to = states + (blockIdx.x * gridDim.y + blockIdx.y) * kWarps * kStateFloats;
  for (int warp = 0; warp < kWarps; ++warp) {
    to[warp * kStateFloats + thread] = of_warps[warp * kStateFloats + thread];
  }
}

// Grid (heads), a thread for each dimension. `parts` states of each head, (parts, kStateFloats) per
// split and head.
__global__ void __launch_bounds__(kHeadDim)
    decode_merge(const float* states, float* out, float* lse, int splits, Bug bug) {
  const int thread = static_cast<int>(threadIdx.x);
  const auto state_of = [&](int i) {
    const unsigned split = static_cast<unsigned>(i / kWarps);
    return states + ((split * gridDim.x + blockIdx.x) * kWarps + i % kWarps) * kStateFloats;
  };
  float top = -INFINITY;
  for (int i = 0; i < splits * kWarps; ++i) top = fmaxf(top, state_of(i)[kHeadDim]);
  float sum = 0;
  float value = 0;
  for (int i = 0; i < splits * kWarps; ++i) {
    const float weight = gpu::exp2_fast(state_of(i)[kHeadDim] - top);
    sum += weight * state_of(i)[kHeadDim + 1];
    value += weight * state_of(i)[thread];
  }
  out[blockIdx.x * kHeadDim + threadIdx.x] = value / sum;
  if (thread == 0) {
    lse[bug == Bug::kOneForAllBlocks ? 0 : blockIdx.x] = (top + log2f(sum)) / kLog2E;
  }
}

}  // namespace

Outcome run_decode(Bug bug) {
  constexpr AttentionShape kShape{1, 333, 3, 3};
  constexpr unsigned kSplits = 5;
  const std::vector<__nv_bfloat16> q = random_bf16(kShape.heads * kHeadDim, 7);
  const std::vector<__nv_bfloat16> k = random_bf16(kShape.keys * kShape.heads * kHeadDim, 8);
  const std::vector<__nv_bfloat16> v = random_bf16(kShape.keys * kShape.heads * kHeadDim, 9);
  std::vector<float> states(kSplits * kShape.heads * kWarps * kStateFloats);
  std::vector<float> out(kShape.heads * kHeadDim);
  std::vector<float> lse(kShape.heads);
  gpu::launch<decode_split>(
      {dim3(kSplits, kShape.heads), dim3(kThreads), kWarps * kStateFloats * sizeof(float)},
      q.data(), k.data(), v.data(), states.data(), kShape.keys, bug);
  gpu::launch<decode_merge>({dim3(kShape.heads), dim3(kHeadDim)}, states.data(), out.data(),
                            lse.data(), static_cast<int>(kSplits), bug);
  Outcome outcome;
  outcome.append(out);
  outcome.append(lse);
  const AttentionResult wanted = attend_in_double(kShape, q, k, v);
  for (std::size_t i = 0; i < out.size(); ++i) outcome.compare(out[i], wanted.out[i], 1e-5);
  for (std::size_t i = 0; i < lse.size(); ++i) outcome.compare(lse[i], wanted.lse[i], 1e-5);
  return outcome;
}

}  // namespace varve::samples
