// How much softmax weight each cached row received (Ops::add_mass). A block takes 64 keys of a head
// and walks through all queries; each key's additions come one after the other, rows ascending and
// then heads, so that a sum does not depend on how the rows were cut into steps.
#include "kernels/cuda/attend_math.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/row_codec.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kQueries = 32;  // at a time

// Dynamic shared memory of a block.
struct Shared {
  float* q;            // [kQueries, D]
  float* keys;         // [kTileKeys, D + 1]
  float* weights;      // [kQueries, kTileKeys]
  float* lse;          // [kQueries], -infinity: adds nothing
  std::int32_t* sees;  // [kQueries]

  __device__ Shared(unsigned char* memory, std::uint32_t dim) {
    q = reinterpret_cast<float*>(memory);
    keys = q + kQueries * dim;
    weights = keys + kTileKeys * (dim + 1);
    lse = weights + kQueries * kTileKeys;
    sees = reinterpret_cast<std::int32_t*>(lse + kQueries);
  }
};

unsigned shared_bytes(std::uint32_t dim) {
  return 4 * (kQueries * dim + kTileKeys * (dim + 1) + kQueries * kTileKeys + 2 * kQueries);
}

__device__ void load_keys(const Attention& a, const Head& head, std::uint32_t begin,
                          const Shared& s) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t i = threadIdx.x; i < kTileKeys * dim; i += kThreads) {
    const std::uint32_t row = begin + i / dim;
    s.keys[i / dim * (dim + 1) + i % dim] =
        row < head.rows ? key_number(head.keys, a.format, dim, row, i % dim) : 0.0F;
  }
}

__device__ void load_queries(const Attention& a, const QueryTile& tile, const ConstRows& lse,
                             const Shared& s) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t i = threadIdx.x; i < kQueries * dim; i += kThreads) {
    const std::uint32_t j = i / dim;
    s.q[i] = tile.has(j) ? a.q.data[tile.row(j) * a.q.stride + tile.head(j) * dim + i % dim] : 0;
  }
  if (threadIdx.x < kQueries) {
    const std::uint32_t j = threadIdx.x;
    s.sees[j] = tile.has(j) ? a.q_positions[tile.row(j)] : kNoQuery;
    s.lse[j] = tile.has(j) ? lse.data[tile.row(j) * lse.stride + tile.head(j)] : minus_infinity();
  }
}

// A key that is not seen gets weight zero, which adds nothing.
__device__ void weigh(const Attention& a, const Shared& s, std::int32_t where, std::uint32_t key) {
  const std::uint32_t dim = a.head_dim;
  for (std::uint32_t j = threadIdx.x / kTileKeys; j < kQueries; j += kThreads / kTileKeys) {
    float dot = 0;
    for (std::uint32_t d = 0; d < dim; ++d) {
      dot = fmaf(s.q[j * dim + d], s.keys[key * (dim + 1) + d], dot);
    }
    const bool seen = is_visible(where, s.sees[j], a.window) && s.lse[j] != minus_infinity();
    s.weights[j * kTileKeys + key] = seen ? exp_f32(dot * a.scale - s.lse[j]) : 0.0F;
  }
}

}  // namespace

// Blocks [tiles of keys, Hkv].
__global__ void __launch_bounds__(kThreads)
    add_mass_kernel(Attention a, const Head* heads, std::uint32_t row_begin,
                    std::uint32_t row_count, ConstRows lse, Rows mass, MassKind kind) {
  VARVE_DYNAMIC_SHARED(memory);
  const Shared s(memory, a.head_dim);
  const Head head = heads[blockIdx.y];
  const std::uint32_t begin = blockIdx.x * kTileKeys;
  if (begin >= head.rows) return;
  const std::uint32_t group = a.q_heads / a.kv_heads;
  const std::uint32_t key = threadIdx.x % kTileKeys;
  const bool there = begin + key < head.rows;
  const std::int32_t where = there ? head.positions[begin + key] : INT32_MAX;
  load_keys(a, head, begin, s);
  for (std::uint32_t first = 0; first < row_count * group; first += kQueries) {
    const QueryTile tile{row_begin, row_count, first, blockIdx.y, group};
    __syncthreads();  // the last queries' weights are added
    load_queries(a, tile, lse, s);
    __syncthreads();
    weigh(a, s, where, key);
    __syncthreads();
    if (threadIdx.x >= kTileKeys || !there) continue;
    for (std::uint32_t j = 0; j < kQueries && tile.has(j); ++j) {
      const std::uint32_t row = kind.apart ? tile.head(j) : blockIdx.y;
      const float weight = s.weights[j * kTileKeys + key];
      float& sum = mass.data[row * mass.stride + begin + key];
      sum = kind.largest ? fmaxf(sum, weight) : sum + weight;
    }
  }
}

void add_mass(const Attention& attention, const Head* heads, std::uint32_t most_rows,
              std::uint32_t row_begin, std::uint32_t row_count, ConstRows lse, Rows mass,
              MassKind kind, cudaStream_t stream) {
  const dim3 grid((most_rows + kTileKeys - 1) / kTileKeys, attention.kv_heads);
  const unsigned shared = shared_bytes(static_cast<std::uint32_t>(attention.head_dim));
  gpu::launch<add_mass_kernel>({grid, dim3(kThreads), shared, stream}, attention, heads, row_begin,
                               row_count, lse, mass, kind);
}

}  // namespace varve::cuda
