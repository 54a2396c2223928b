// Kernels that write cached rows: append, gather, decode, encode, turn.
#include "kernels/cuda/block_encoder.h"
#include "kernels/cuda/kernels.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kThreads = 256;

std::uint32_t blocks_for(std::size_t items) {
  return static_cast<std::uint32_t>((items + kThreads - 1) / kThreads);
}

__device__ std::size_t item() {
  return std::size_t{blockIdx.x} * kThreads + threadIdx.x;
}

// Rows that a gather in place has under way in registers.
constexpr std::uint32_t kBatch = 8;

}  // namespace

// A thread a number of k and v.
__global__ void append_kernel(ConstRows k, ConstRows v, const std::int32_t* positions,
                              const HeadStore* heads, std::uint32_t head_dim, bool shared_positions,
                              std::uint32_t at, RowFormat format) {
  const std::uint32_t c = blockIdx.x * kThreads + threadIdx.x;
  if (c >= k.cols) return;
  const std::uint32_t t = blockIdx.y;
  const std::uint32_t h = c / head_dim;
  const HeadStore head = heads[h];
  const std::size_t to = std::size_t{at + t} * head_dim + c % head_dim;
  store_number(head.keys, format, to, k.data[t * k.stride + c]);
  store_number(head.values, format, to, v.data[t * v.stride + c]);
  if (c % head_dim == 0 && (h == 0 || !shared_positions)) head.positions[at + t] = positions[t];
}

// A thread a piece of a row; blockIdx.y: keys or values.
template <class Piece>
__global__ void gather_kernel(Head from, const std::uint32_t* rows, std::uint32_t count,
                              std::uint32_t pieces, HeadStore to) {
  const std::size_t i = item() / pieces;
  const std::size_t p = item() % pieces;
  if (i >= count) return;
  const bool keys = blockIdx.y == 0;
  const auto* source = static_cast<const Piece*>(keys ? from.keys : from.values);
  auto* target = static_cast<Piece*>(keys ? to.keys : to.values);
  target[i * pieces + p] = source[std::size_t{rows[i]} * pieces + p];
  if (keys && p == 0 && to.positions != nullptr) to.positions[i] = from.positions[rows[i]];
}

// The same where `to` lies over `from` and no row moves towards the end: a thread takes one piece
// of each row, in order. What it writes, it has read before, and others do not touch.
template <class T>
__device__ void move_up(const T* from, T* to, const std::uint32_t* rows, std::uint32_t count,
                        std::size_t pieces, std::size_t p) {
  for (std::uint32_t first = 0; first < count; first += kBatch) {
    T held[kBatch];
#pragma unroll
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      if (first + i < count) held[i] = from[std::size_t{rows[first + i]} * pieces + p];
    }
#pragma unroll
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      if (first + i < count) to[std::size_t{first + i} * pieces + p] = held[i];
    }
  }
}

template <class Piece>
__global__ void move_up_kernel(Head from, const std::uint32_t* rows, std::uint32_t count,
                               std::uint32_t pieces, HeadStore to) {
  const std::uint32_t p = blockIdx.x * blockDim.x + threadIdx.x;
  if (p < pieces) {
    move_up(static_cast<const Piece*>(from.keys), static_cast<Piece*>(to.keys), rows, count, pieces,
            p);
  } else if (p < 2 * pieces) {
    move_up(static_cast<const Piece*>(from.values), static_cast<Piece*>(to.values), rows, count,
            pieces, p - pieces);
  } else if (p == 2 * pieces && to.positions != nullptr) {
    move_up(from.positions, to.positions, rows, count, 1, 0);
  }
}

// A thread a number; blockIdx.y: keys or values.
__global__ void decode_kernel(Head from, std::uint32_t begin, RowFormat format,
                              std::uint32_t head_dim, Rows keys, Rows values) {
  const bool is_key = blockIdx.y == 0;
  const Rows& to = is_key ? keys : values;
  const auto row = static_cast<std::uint32_t>(item() / head_dim);
  const auto d = static_cast<std::uint32_t>(item() % head_dim);
  if (row >= to.rows) return;
  to.data[row * to.stride + d] = is_key
                                     ? key_number(from.keys, format, head_dim, begin + row, d)
                                     : value_number(from.values, format, head_dim, begin + row, d);
}

// A thread a block: a channel of 32 keys. blockIdx.y is the head.
__global__ void encode_keys_kernel(const Head* from, RowFormat from_format, const HeadStore* to,
                                   RowFormat to_format, std::uint32_t head_dim,
                                   bool shared_positions) {
  const Head head = from[blockIdx.y];
  const HeadStore store = to[blockIdx.y];
  const auto group = static_cast<std::uint32_t>(item() / head_dim);
  const auto d = static_cast<std::uint32_t>(item() % head_dim);
  const std::uint32_t first = group * kGroup;
  if (first >= head.rows) return;
  float x[kGroup];
#pragma unroll
  for (std::uint32_t i = 0; i < kGroup; ++i) {
    const std::uint32_t row = min(first + i, head.rows - 1);
    x[i] = key_number(head.keys, from_format, head_dim, row, d);
  }
  const std::uint32_t bits = code_bits(to_format);
  encode_block(x, bits,
               static_cast<std::uint8_t*>(store.keys) +
                   (std::size_t{group} * head_dim + d) * block_bytes(bits));
  if (d != 0 || (shared_positions && blockIdx.y != 0)) return;
  for (std::uint32_t row = first; row < min(first + kGroup, head.rows); ++row) {
    store.positions[row] = head.positions[row];
  }
}

// A thread a block: 32 channels of a value.
__global__ void encode_values_kernel(const Head* from, RowFormat from_format, const HeadStore* to,
                                     RowFormat to_format, std::uint32_t head_dim) {
  const Head head = from[blockIdx.y];
  const std::uint32_t blocks = head_dim / kGroup;
  const auto row = static_cast<std::uint32_t>(item() / blocks);
  const auto b = static_cast<std::uint32_t>(item() % blocks);
  if (row >= head.rows) return;
  float x[kGroup];
#pragma unroll
  for (std::uint32_t i = 0; i < kGroup; ++i) {
    x[i] = value_number(head.values, from_format, head_dim, row, b * kGroup + i);
  }
  const std::uint32_t bits = code_bits(to_format);
  encode_block(x, bits,
               static_cast<std::uint8_t*>(to[blockIdx.y].values) +
                   (std::size_t{row} * blocks + b) * block_bytes(bits));
}

// A thread a pair of a key, or a number that is not turned. blockIdx.y is the head.
__global__ void rope_keys_kernel(const Head* from, ConstRows cos_sin, bool halves,
                                 const HeadStore* to, RowFormat format, std::uint32_t head_dim) {
  const Head head = from[blockIdx.y];
  void* keys = to[blockIdx.y].keys;
  const std::uint32_t half = cos_sin.cols / 2;
  const std::uint32_t work = head_dim - half;  // pairs, and numbers behind them
  const auto row = static_cast<std::uint32_t>(item() / work);
  const auto i = static_cast<std::uint32_t>(item() % work);
  if (row >= head.rows) return;
  const std::size_t at = std::size_t{row} * head_dim;
  if (i >= half) {
    const std::size_t same = at + half + i;
    store_number(keys, format, same, float_number(head.keys, format, same));
    return;
  }
  const std::size_t a = at + (halves ? i : 2 * i);
  const std::size_t b = at + (halves ? i + half : 2 * i + 1);
  const float x = float_number(head.keys, format, a);
  const float y = float_number(head.keys, format, b);
  const float c = cos_sin.data[row * cos_sin.stride + i];
  const float s = cos_sin.data[row * cos_sin.stride + half + i];
  store_number(keys, format, a, x * c - y * s);
  store_number(keys, format, b, x * s + y * c);
}

void append_rows(ConstRows k, ConstRows v, const std::int32_t* positions, const HeadStore* heads,
                 std::uint32_t kv_heads, bool shared_positions, std::uint32_t at, RowFormat format,
                 cudaStream_t stream) {
  const dim3 grid(blocks_for(k.cols), k.rows);
  gpu::launch<append_kernel>({grid, dim3(kThreads), 0, stream}, k, v, positions, heads,
                             k.cols / kv_heads, shared_positions, at, format);
}

namespace {

template <class Piece>
void gather(const Head& from, const std::uint32_t* rows, std::uint32_t count, std::uint32_t bytes,
            const HeadStore& to, bool in_place, cudaStream_t stream) {
  const std::uint32_t pieces = bytes / sizeof(Piece);
  if (in_place) {
    const dim3 grid((2 * pieces + 1 + 31) / 32);
    gpu::launch<move_up_kernel<Piece>>({grid, dim3(32), 0, stream}, from, rows, count, pieces, to);
    return;
  }
  const dim3 grid(blocks_for(std::size_t{count} * pieces), 2);
  gpu::launch<gather_kernel<Piece>>({grid, dim3(kThreads), 0, stream}, from, rows, count, pieces,
                                    to);
}

}  // namespace

void gather_rows(const Head& from, const std::uint32_t* rows, std::uint32_t count,
                 std::uint32_t bytes, const HeadStore& to, bool in_place, cudaStream_t stream) {
  if (bytes % sizeof(uint4) == 0) {
    gather<uint4>(from, rows, count, bytes, to, in_place, stream);
  } else {
    gather<std::uint16_t>(from, rows, count, bytes, to, in_place, stream);
  }
}

void decode_rows(const Head& from, std::uint32_t begin, RowFormat format, std::uint32_t head_dim,
                 Rows keys, Rows values, cudaStream_t stream) {
  const std::size_t rows = keys.rows > values.rows ? keys.rows : values.rows;
  const dim3 grid(blocks_for(rows * head_dim), 2);
  gpu::launch<decode_kernel>({grid, dim3(kThreads), 0, stream}, from, begin, format, head_dim, keys,
                             values);
}

void encode_rows(const Head* from, RowFormat from_format, const HeadStore* to, RowFormat to_format,
                 std::uint32_t kv_heads, std::uint32_t most_rows, std::uint32_t head_dim,
                 bool shared_positions, cudaStream_t stream) {
  const std::size_t groups = (std::size_t{most_rows} + kGroup - 1) / kGroup;
  const dim3 keys(blocks_for(groups * head_dim), kv_heads);
  gpu::launch<encode_keys_kernel>({keys, dim3(kThreads), 0, stream}, from, from_format, to,
                                  to_format, head_dim, shared_positions);
  const dim3 values(blocks_for(std::size_t{most_rows} * (head_dim / kGroup)), kv_heads);
  gpu::launch<encode_values_kernel>({values, dim3(kThreads), 0, stream}, from, from_format, to,
                                    to_format, head_dim);
}

void rope_keys(const Head* from, ConstRows cos_sin, bool halves, const HeadStore* to,
               RowFormat format, std::uint32_t kv_heads, std::uint32_t most_rows,
               std::uint32_t head_dim, cudaStream_t stream) {
  const std::size_t work = head_dim - cos_sin.cols / 2;
  const dim3 grid(blocks_for(most_rows * work), kv_heads);
  gpu::launch<rope_keys_kernel>({grid, dim3(kThreads), 0, stream}, from, cos_sin, halves, to,
                                format, head_dim);
}

}  // namespace varve::cuda
