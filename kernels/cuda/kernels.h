// What the host side calls: each function puts kernels on a stream and returns at once. Memory is
// the device's; arrays that the host made were staged there before. DeviceError if a kernel cannot
// be launched. The verbs and their shapes are those of kernels/ops.h.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda/shapes.h"

namespace varve::cuda {

// elementwise.cu
/// How a matrix of weights, or rows for a product, is stored on the device.
enum class WeightFormat : std::int32_t { kF32, kBF16 };
void embed(const std::int32_t* tokens, const void* table, WeightFormat format, Rows out,
           cudaStream_t stream);
/// to [T, K] densely packed, rounded to nearest.
void round_to_bf16(ConstRows x, void* to, cudaStream_t stream);
void silu_mul(ConstRows gate, ConstRows up, Rows y, cudaStream_t stream);
void add(ConstRows x, Rows y, cudaStream_t stream);
void rms_norm(ConstRows x, const float* gain, std::uint32_t group, float eps, Rows y,
              cudaStream_t stream);
void rope_angles(const std::int32_t* positions, const float* inv_freq, std::uint32_t frequencies,
                 Rows cos_sin, cudaStream_t stream);
/// `halves`: pairs (i, i + R/2) of a head, else (2i, 2i + 1).
void rope(Rows x, ConstRows cos_sin, std::uint32_t head_dim, bool halves, cudaStream_t stream);

// summarize.cu
struct Summary {  // as RowSummary
  std::int32_t top;
  float largest;
  float log_sum;
};
void summarize(ConstRows x, Summary* out, cudaStream_t stream);

// cached_rows.cu
/// Rows k, v [T, Hkv * D] as rows at, at + 1, ... of each of Hkv heads. Positions are written to
/// every head, or, where heads share them, to the first.
void append_rows(ConstRows k, ConstRows v, const std::int32_t* positions, const HeadStore* heads,
                 std::uint32_t kv_heads, bool shared_positions, std::uint32_t at, RowFormat format,
                 cudaStream_t stream);
/// Copies rows [count] of one head, `bytes` bytes each, to rows 0, 1, ... of `to`. In place: `to`
/// lies over `from`, and no row moves towards the end. Null positions of `to` are left alone.
void gather_rows(const Head& from, const std::uint32_t* rows, std::uint32_t count,
                 std::uint32_t bytes, const HeadStore& to, bool in_place, cudaStream_t stream);
/// Rows [begin, begin + keys.rows) of a head as float32, and values likewise.
void decode_rows(const Head& from, std::uint32_t begin, RowFormat format, std::uint32_t head_dim,
                 Rows keys, Rows values, cudaStream_t stream);
/// Each head of `from` in an integer format. Positions: as append_rows.
void encode_rows(const Head* from, RowFormat from_format, const HeadStore* to, RowFormat to_format,
                 std::uint32_t kv_heads, std::uint32_t most_rows, std::uint32_t head_dim,
                 bool shared_positions, cudaStream_t stream);
void rope_keys(const Head* from, ConstRows cos_sin, bool halves, const HeadStore* to,
               RowFormat format, std::uint32_t kv_heads, std::uint32_t most_rows,
               std::uint32_t head_dim, cudaStream_t stream);

// attend_*.cu
/// One item: rows [row_begin, row_begin + row_count) through all runs of heads [Hkv].
struct AttendRows {
  Attention attention;
  const Head* heads = nullptr;
  std::uint32_t row_begin = 0;
  std::uint32_t row_count = 0;
  Partials state;
};

/// Several items cut by runs: heads [items, Hkv], tasks [task_count].
struct AttendRuns {
  Attention attention;
  const Head* heads = nullptr;
  const RunTask* tasks = nullptr;
  std::uint32_t task_count = 0;
  std::uint32_t most_rows = 0;  // of a task
  Partials slots;
};

/// In float32, any head size up to 256.
void attend_fma_rows(const AttendRows& call, cudaStream_t stream);
void attend_fma_runs(const AttendRuns& call, cudaStream_t stream);

/// On matrix units.
struct MmaLaunches {
  void (*rows)(const AttendRows& call, cudaStream_t stream) = nullptr;
  void (*runs)(const AttendRuns& call, cudaStream_t stream) = nullptr;
};
MmaLaunches mma_launches_64(RowFormat format);
MmaLaunches mma_launches_96(RowFormat format);
MmaLaunches mma_launches_128(RowFormat format);
MmaLaunches mma_launches_256(RowFormat format);

// merge.cu
void clear(Partials state, std::uint32_t rows, std::uint32_t q_heads, std::uint32_t head_dim,
           cudaStream_t stream);
void merge(const Partials& other, const Partials& state, std::uint32_t rows, std::uint32_t q_heads,
           std::uint32_t head_dim, cudaStream_t stream);
/// state = merge of itself and of the slots of each item in order, run after run.
void merge_runs(const ItemSlots* items, std::uint32_t item_count, const Partials& slots,
                const Partials& state, std::uint32_t rows, std::uint32_t q_heads,
                std::uint32_t head_dim, cudaStream_t stream);

// mass.cu
/// Ops::add_mass for rows [row_begin, row_begin + row_count) and one segment's heads [Hkv].
struct MassKind {
  bool apart;    // mass has a row for each query head
  bool largest;  // MassFold::kMax
};
void add_mass(const Attention& attention, const Head* heads, std::uint32_t most_rows,
              std::uint32_t row_begin, std::uint32_t row_count, ConstRows lse, Rows mass,
              MassKind kind, cudaStream_t stream);

}  // namespace varve::cuda
