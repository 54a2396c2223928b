// Attention on matrix units (mma.sync m16n8k16, FlashAttention-2, arXiv 2307.08691): 16 queries a
// warp, tiles of 64 keys, an online softmax in registers. One fold for both ways to cut the work:
//   rows  a block of several warps takes up to 64 queries through all runs of a head, and merges
//         each run's partial into the state
//   runs  a block of one warp takes 16 queries through one run, for decode steps
// The queries of a tile are an item's rows x the heads of a group, so that heads which share keys
// share their tiles. Why the bits of a query do not depend on its tile: rows of a matrix product do
// not know each other, tiles and runs begin at fixed rows of the head, and a tile that a query does
// not see multiplies by one and adds zero.
#pragma once

#include "kernels/cuda/attend_math.h"
#include "kernels/cuda/row_codec.h"

namespace varve::cuda {

/// 16-bit numbers that the matrix units take. Integer formats become float16.
struct HalfRows {
  using Type = __half;
  static constexpr bool kDecodes = false;
  __device__ static std::uint32_t pack(float lo, float hi) { return gpu::pack_f16(lo, hi); }
  __device__ static void multiply(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                  std::uint32_t b1) {
    gpu::mma_f16(d, a, b0, b1);
  }
};

struct BrainRows {
  using Type = __nv_bfloat16;
  static constexpr bool kDecodes = false;
  __device__ static std::uint32_t pack(float lo, float hi) { return gpu::pack_bf16(lo, hi); }
  __device__ static void multiply(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                  std::uint32_t b1) {
    gpu::mma_bf16(d, a, b0, b1);
  }
};

struct GroupedRows : HalfRows {
  static constexpr bool kDecodes = true;
};

/// D: head size rounded up to what is compiled, a multiple of 16. The columns behind the real ones
/// are zeros.
template <int D, int Warps>
struct MmaShape {
  static constexpr std::uint32_t kWarps = Warps;
  static constexpr std::uint32_t kThreads = Warps * 32;
  static constexpr std::uint32_t kQueries = Warps * 16;
  static constexpr std::uint32_t kPitch = D + 8;  // 16-bit numbers; rows of 16 bytes more: no two
                                                  // of eight rows begin in the same banks
  static constexpr std::uint32_t kTileNumbers = kTileKeys * kPitch;
  static constexpr unsigned kSharedBytes =
      2 * (kQueries * kPitch + 2 * kTileNumbers) + 4 * (kQueries + 2 * kTileKeys);
};

template <class Stored, int D, int Warps>
class MmaFold {
 public:
  using Shape = MmaShape<D, Warps>;
  using Number = typename Stored::Type;

  __device__ MmaFold(const Attention& attention, const Head& head, const QueryTile& tile,
                     unsigned char* memory)
      : a_(attention), head_(head), tile_(tile) {
    q_ = reinterpret_cast<Number*>(memory);
    keys_ = q_ + Shape::kQueries * Shape::kPitch;
    values_ = keys_ + Shape::kTileNumbers;
    sees_ = reinterpret_cast<std::int32_t*>(values_ + Shape::kTileNumbers);
    where_ = sees_ + Shape::kQueries;
    load_queries();
  }

  /// Folds one run; its partial is merged into the state, or written to its slot.
  template <bool Merging>
  __device__ void fold_run(std::uint32_t run, const Partials& to, std::uint32_t row_offset) {
    begin_run();
    const std::uint32_t end = min((run + 1) * kRunRows, head_.rows);
    std::uint32_t tile = next_tile(run * kRunRows, end);
    load_keys(tile, end);
    gpu::cp_async_commit();
    load_values(tile, end);
    gpu::cp_async_commit();
    std::uint32_t turn = 0;  // which half of where_ the tile's positions are in
    while (tile < end) {
      const std::uint32_t next = next_tile(tile + kTileKeys, end);
      gpu::cp_async_wait<1>();
      __syncthreads();
      float s[kTileKeys / 8][4];
      multiply_keys(s);
      __syncthreads();  // all have used the keys
      load_keys(next, end, turn ^ 1U);
      gpu::cp_async_commit();
      weigh(s, turn);
      gpu::cp_async_wait<1>();
      __syncthreads();
      add_values(s);
      __syncthreads();  // all have used the values
      load_values(next, end);
      gpu::cp_async_commit();
      tile = next;
      turn ^= 1U;
    }
    gpu::cp_async_wait<0>();
    end_run<Merging>(to, row_offset);
  }

 private:
  __device__ std::uint32_t lane() const { return threadIdx.x % 32; }
  __device__ std::uint32_t warp() const { return threadIdx.x / 32; }

  // Query tiles are loaded once, rounded to the rows' type.
  __device__ void load_queries() {
    const auto dim = static_cast<std::uint32_t>(a_.head_dim);
    for (std::uint32_t i = threadIdx.x; i < Shape::kQueries * (D / 2); i += Shape::kThreads) {
      const std::uint32_t j = i / (D / 2);
      const std::uint32_t d = i % (D / 2) * 2;
      float2 x{0, 0};
      if (tile_.has(j) && d < dim) {
        const float* from = a_.q.data + tile_.row(j) * a_.q.stride + tile_.head(j) * dim + d;
        x = {from[0], from[1]};
      }
      *reinterpret_cast<std::uint32_t*>(q_ + j * Shape::kPitch + d) = Stored::pack(x.x, x.y);
    }
    if (threadIdx.x < Shape::kQueries) {
      sees_[threadIdx.x] =
          tile_.has(threadIdx.x) ? a_.q_positions[tile_.row(threadIdx.x)] : kNoQuery;
    }
    __syncthreads();
    for (std::uint32_t j = 0; j < Shape::kQueries; ++j) sight_.add(sees_[j], a_.window);
    for (int half = 0; half < 2; ++half) mine_[half] = sees_[warp() * 16 + lane() / 4 + half * 8];
  }

  // The first tile from `at` on that any query sees, or `end`.
  __device__ std::uint32_t next_tile(std::uint32_t at, std::uint32_t end) const {
    while (at < end) {
      if (!sight_.reaches(head_.positions[at])) return end;
      if (!sight_.is_past(head_.positions[min(at + kTileKeys, end) - 1])) return at;
      at += kTileKeys;
    }
    return end;
  }

  // Rows [begin, begin + kTileKeys) into shared memory; zeros behind `end`.
  __device__ void load_rows(const void* from, Number* to, std::uint32_t begin, std::uint32_t end,
                            bool keys) {
    if (begin >= end) return;
    if constexpr (Stored::kDecodes) {
      if (keys) {
        decode_keys(begin, end);
      } else {
        decode_values(begin, end);
      }
    } else {
      copy_rows(static_cast<const Number*>(from), to, begin, end);
    }
  }

  __device__ void copy_rows(const Number* from, Number* to, std::uint32_t begin,
                            std::uint32_t end) {
    constexpr std::uint32_t kPieces = D / 8;  // of 16 bytes
    const auto dim = static_cast<std::uint32_t>(a_.head_dim);
    for (std::uint32_t i = threadIdx.x; i < kTileKeys * kPieces; i += Shape::kThreads) {
      const std::uint32_t row = begin + i / kPieces;
      const std::uint32_t d = i % kPieces * 8;
      const bool there = row < end && d < dim;
      const Number* source = there ? from + std::size_t{row} * dim + d : from;
      gpu::cp_async16(to + i / kPieces * Shape::kPitch + d, source, there ? 16 : 0);
    }
  }

  // A block of keys is one channel of 32 rows.
  __device__ void decode_keys(std::uint32_t begin, std::uint32_t end) {
    const auto dim = static_cast<std::uint32_t>(a_.head_dim);
    const std::uint32_t bits = code_bits(a_.format);
    for (std::uint32_t i = threadIdx.x; i < kTileKeys / kGroup * D; i += Shape::kThreads) {
      const std::uint32_t group = i / D;
      const std::uint32_t d = i % D;
      const std::uint32_t row = begin + group * kGroup;
      Number* to = keys_ + group * kGroup * Shape::kPitch + d;
      const bool there = row < end && d < dim;
      const auto* block = static_cast<const std::uint8_t*>(head_.keys) +
                          (std::size_t{row / kGroup} * dim + d) * block_bytes(bits);
      const BlockScale scale = there ? block_scale(block) : BlockScale{0, 0};
      for (std::uint32_t k = 0; k < kGroup; ++k) {
        const float x = there && row + k < end ? block_number(block, scale, bits, k) : 0.0F;
        to[k * Shape::kPitch] = __float2half_rn(x);
      }
    }
  }

  // A block of values is 32 channels of a row.
  __device__ void decode_values(std::uint32_t begin, std::uint32_t end) {
    const auto dim = static_cast<std::uint32_t>(a_.head_dim);
    const std::uint32_t bits = code_bits(a_.format);
    constexpr std::uint32_t kBlocks = (D + kGroup - 1) / kGroup;  // of a row
    for (std::uint32_t i = threadIdx.x; i < kTileKeys * kBlocks; i += Shape::kThreads) {
      const std::uint32_t row = begin + i / kBlocks;
      const std::uint32_t d = i % kBlocks * kGroup;
      Number* to = values_ + i / kBlocks * Shape::kPitch + d;
      const bool there = row < end && d < dim;
      const auto* block = static_cast<const std::uint8_t*>(head_.values) +
                          (std::size_t{row} * (dim / kGroup) + d / kGroup) * block_bytes(bits);
      const BlockScale scale = there ? block_scale(block) : BlockScale{0, 0};
      for (std::uint32_t k = 0; k < kGroup && d + k < D; ++k) {
        to[k] = __float2half_rn(there ? block_number(block, scale, bits, k) : 0.0F);
      }
    }
  }

  __device__ void load_keys(std::uint32_t begin, std::uint32_t end, std::uint32_t turn = 0) {
    load_rows(head_.keys, keys_, begin, end, true);
    if (begin >= end) return;
    for (std::uint32_t i = threadIdx.x; i < kTileKeys; i += Shape::kThreads) {
      where_[turn * kTileKeys + i] = begin + i < end ? head_.positions[begin + i] : INT32_MAX;
    }
  }

  __device__ void load_values(std::uint32_t begin, std::uint32_t end) {
    load_rows(head_.values, values_, begin, end, false);
  }

  __device__ void begin_run() {
    for (int half = 0; half < 2; ++half) {
      top_[half] = minus_infinity();
      sum_[half] = 0;
    }
    for (int n = 0; n < D / 8; ++n) {
      for (int i = 0; i < 4; ++i) out_[n][i] = 0;
    }
  }

  // s = the tile's keys times the warp's queries: 16 x 64 numbers, as mma lays them out.
  __device__ void multiply_keys(float (&s)[kTileKeys / 8][4]) {
    for (auto& block : s) {
      for (float& x : block) x = 0;
    }
    const std::uint32_t m = lane() / 8;  // the 8x8 matrix that this lane names a row of
    const Number* q_row = q_ + (warp() * 16 + m % 2 * 8 + lane() % 8) * Shape::kPitch + m / 2 * 8;
    const Number* k_row = keys_ + (m / 2 * 8 + lane() % 8) * Shape::kPitch + m % 2 * 8;
#pragma unroll
    for (int d = 0; d < D; d += 16) {
      std::uint32_t q[4];
      gpu::ldmatrix_x4<false>(q, q_row + d);
#pragma unroll
      for (std::uint32_t n = 0; n < kTileKeys; n += 16) {
        std::uint32_t k[4];
        gpu::ldmatrix_x4<false>(k, k_row + n * Shape::kPitch + d);
        Stored::multiply(s[n / 8], q, k[0], k[1]);
        Stored::multiply(s[n / 8 + 1], q, k[2], k[3]);
      }
    }
  }

  // Scores become weights relative to the largest so far; what was summed fades accordingly.
  __device__ void weigh(float (&s)[kTileKeys / 8][4], std::uint32_t turn) {
    const std::int32_t* where = where_ + turn * kTileKeys + lane() % 4 * 2;
    const float scale = a_.scale * kLog2E;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float top = top_[half];
#pragma unroll
      for (std::uint32_t n = 0; n < kTileKeys / 8; ++n) {
        for (std::uint32_t i = 0; i < 2; ++i) {
          float& x = s[n][half * 2 + i];
          x = is_visible(where[n * 8 + i], mine_[half], a_.window) ? x * scale : minus_infinity();
          top = fmaxf(top, x);
        }
      }
      top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffU, top, 2));
      const float base = top == minus_infinity() ? 0 : top;
      const float fade = gpu::exp2_fast(top_[half] - base);
      float sum = 0;
#pragma unroll
      for (std::uint32_t n = 0; n < kTileKeys / 8; ++n) {
        for (std::uint32_t i = 0; i < 2; ++i) {
          float& x = s[n][half * 2 + i];
          x = gpu::exp2_fast(x - base);
          sum += x;
        }
      }
      sum_[half] = fmaf(sum_[half], fade, sum);
      top_[half] = top;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        out_[n][half * 2] *= fade;
        out_[n][half * 2 + 1] *= fade;
      }
    }
  }

  __device__ void add_values(const float (&s)[kTileKeys / 8][4]) {
    const std::uint32_t m = lane() / 8;
    const Number* v_row = values_ + (m % 2 * 8 + lane() % 8) * Shape::kPitch + m / 2 * 8;
#pragma unroll
    for (std::uint32_t k = 0; k < kTileKeys; k += 16) {
      const float(&lo)[4] = s[k / 8];
      const float(&hi)[4] = s[k / 8 + 1];
      const std::uint32_t w[4] = {Stored::pack(lo[0], lo[1]), Stored::pack(lo[2], lo[3]),
                                  Stored::pack(hi[0], hi[1]), Stored::pack(hi[2], hi[3])};
#pragma unroll
      for (int d = 0; d < D; d += 16) {
        std::uint32_t v[4];
        gpu::ldmatrix_x4<true>(v, v_row + k * Shape::kPitch + d);
        Stored::multiply(out_[d / 8], w, v[0], v[1]);
        Stored::multiply(out_[d / 8 + 1], w, v[2], v[3]);
      }
    }
  }

  template <bool Merging>
  __device__ void end_run(const Partials& to, std::uint32_t row_offset) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = sum_[half];
      sum += __shfl_xor_sync(0xffffffffU, sum, 1);
      sum += __shfl_xor_sync(0xffffffffU, sum, 2);
      const std::uint32_t j = warp() * 16 + lane() / 4 + half * 8;
      const bool there = tile_.has(j);
      const std::size_t row = there ? tile_.row(j) + row_offset : 0;
      float* lse_at = to.lse + row * to.lse_stride + (there ? tile_.head(j) : 0);
      const float lse = sum > 0 ? fmaf(top_[half], kLn2, log_f32(sum)) : minus_infinity();
      Merge merge{0, 1, lse, true};
      if (Merging && there) merge = merge_of(*lse_at, lse);
      __syncwarp();  // the four lanes of a row have read its old lse
      if (!there || !merge.takes) continue;
      float* out = to.out + row * to.out_stride + tile_.head(j) * a_.head_dim;
      const float share = sum > 0 ? 1.0F / sum : 0.0F;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) {
        for (int i = 0; i < 2; ++i) {
          const int d = n * 8 + static_cast<int>(lane() % 4) * 2 + i;
          if (d >= a_.head_dim) break;
          const float x = out_[n][half * 2 + i] * share;
          out[d] = Merging ? merged(merge, out[d], x) : x;
        }
      }
      if (lane() % 4 == 0) *lse_at = merge.lse;
    }
    __syncwarp();
  }

  const Attention& a_;
  const Head head_;
  const QueryTile tile_;
  Number* q_;            // [kQueries, kPitch]
  Number* keys_;         // [kTileKeys, kPitch]
  Number* values_;       // [kTileKeys, kPitch]
  std::int32_t* sees_;   // [kQueries] positions of the queries, or kNoQuery
  std::int32_t* where_;  // [2, kTileKeys] positions of this tile's and the next one's keys
  Sight sight_;
  std::int32_t mine_[2];  // of the two rows whose sums this lane holds a quarter of
  float top_[2];          // their largest scores so far, in units of log 2
  float sum_[2];          // this lane's part of their sums of weights
  float out_[D / 8][4];   // and of their weighted values, as mma lays them out
};

}  // namespace varve::cuda
