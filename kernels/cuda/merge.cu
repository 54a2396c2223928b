// Merging partials. A block takes one head of one row, a thread its channels.
#include "kernels/cuda/attend_math.h"
#include "kernels/cuda/kernels.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kThreads = 64;
constexpr std::uint32_t kMostDim = 256;
constexpr std::uint32_t kChannels = kMostDim / kThreads;  // of a thread

// One head of one partial, as a thread holds it.
struct Held {
  float out[kChannels];
  float lse;
};

__device__ Held load(const Partials& from, std::size_t row, std::uint32_t head, std::uint32_t dim) {
  Held held{};
  held.lse = from.lse[row * from.lse_stride + head];
  const float* out = from.out + row * from.out_stride + head * dim;
  for (std::uint32_t c = 0; c < kChannels; ++c) {
    const std::uint32_t d = threadIdx.x + c * kThreads;
    if (d < dim) held.out[c] = out[d];
  }
  return held;
}

__device__ void take(Held& state, const Held& other) {
  const Merge m = merge_of(state.lse, other.lse);
  if (!m.takes) return;
  for (std::uint32_t c = 0; c < kChannels; ++c) {
    state.out[c] = merged(m, state.out[c], other.out[c]);
  }
  state.lse = m.lse;
}

__device__ void store(const Held& held, const Partials& to, std::size_t row, std::uint32_t head,
                      std::uint32_t dim) {
  float* out = to.out + row * to.out_stride + head * dim;
  for (std::uint32_t c = 0; c < kChannels; ++c) {
    const std::uint32_t d = threadIdx.x + c * kThreads;
    if (d < dim) out[d] = held.out[c];
  }
  __syncthreads();  // all have read the old lse
  if (threadIdx.x == 0) to.lse[row * to.lse_stride + head] = held.lse;
}

}  // namespace

__global__ void clear_kernel(Partials state, std::uint32_t head_dim) {
  Held none{};
  none.lse = minus_infinity();
  store(none, state, blockIdx.x, blockIdx.y, head_dim);
}

__global__ void merge_kernel(Partials other, Partials state, std::uint32_t head_dim) {
  Held held = load(state, blockIdx.x, blockIdx.y, head_dim);
  take(held, load(other, blockIdx.x, blockIdx.y, head_dim));
  store(held, state, blockIdx.x, blockIdx.y, head_dim);
}

__global__ void merge_runs_kernel(const ItemSlots* items, std::uint32_t item_count, Partials slots,
                                  Partials state, std::uint32_t head_dim) {
  const std::uint32_t row = blockIdx.x;
  Held held = load(state, row, blockIdx.y, head_dim);
  for (std::uint32_t i = 0; i < item_count; ++i) {
    const ItemSlots item = items[i];
    if (row < item.row_begin || row - item.row_begin >= item.row_count) continue;
    for (std::uint32_t run = 0; run < item.runs; ++run) {
      const std::size_t slot =
          std::size_t{item.first} + run * item.row_count + row - item.row_begin;
      take(held, load(slots, slot, blockIdx.y, head_dim));
    }
  }
  store(held, state, row, blockIdx.y, head_dim);
}

void clear(Partials state, std::uint32_t rows, std::uint32_t q_heads, std::uint32_t head_dim,
           cudaStream_t stream) {
  gpu::launch<clear_kernel>({dim3(rows, q_heads), dim3(kThreads), 0, stream}, state, head_dim);
}

void merge(const Partials& other, const Partials& state, std::uint32_t rows, std::uint32_t q_heads,
           std::uint32_t head_dim, cudaStream_t stream) {
  gpu::launch<merge_kernel>({dim3(rows, q_heads), dim3(kThreads), 0, stream}, other, state,
                            head_dim);
}

void merge_runs(const ItemSlots* items, std::uint32_t item_count, const Partials& slots,
                const Partials& state, std::uint32_t rows, std::uint32_t q_heads,
                std::uint32_t head_dim, cudaStream_t stream) {
  gpu::launch<merge_runs_kernel>({dim3(rows, q_heads), dim3(kThreads), 0, stream}, items,
                                 item_count, slots, state, head_dim);
}

}  // namespace varve::cuda
