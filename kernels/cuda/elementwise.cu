// Kernels that read each number once: embedding, norms, rotary positions, activations. A thread
// takes one number, or one pair; a norm takes a warp for each group of numbers.
#include "kernels/cuda/gpu.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/real_math.h"

namespace varve::cuda {
namespace {

constexpr std::uint32_t kThreads = 256;
constexpr std::uint32_t kNormThreads = 128;

dim3 grid_of(std::uint32_t cols, std::uint32_t rows) {
  return dim3((cols + kThreads - 1) / kThreads, rows);
}

// The column of a thread in a grid of `grid_of`; blockIdx.y is the row.
__device__ std::uint32_t column() {
  return blockIdx.x * kThreads + threadIdx.x;
}

__device__ float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffU, x, step);
  return x;
}

}  // namespace

__global__ void embed_kernel(const std::int32_t* tokens, const void* table, WeightFormat format,
                             Rows out) {
  const std::uint32_t c = column();
  if (c >= out.cols) return;
  const std::size_t at = std::size_t{static_cast<std::uint32_t>(tokens[blockIdx.y])} * out.cols + c;
  out.data[blockIdx.y * out.stride + c] =
      format == WeightFormat::kF32 ? static_cast<const float*>(table)[at]
                                   : __bfloat162float(static_cast<const __nv_bfloat16*>(table)[at]);
}

__global__ void round_kernel(ConstRows x, __nv_bfloat16* to) {
  const std::uint32_t c = column();
  if (c >= x.cols) return;
  to[std::size_t{blockIdx.y} * x.cols + c] = __float2bfloat16_rn(x.data[blockIdx.y * x.stride + c]);
}

__global__ void silu_mul_kernel(ConstRows gate, ConstRows up, Rows y) {
  const std::uint32_t c = column();
  if (c >= y.cols) return;
  const float g = gate.data[blockIdx.y * gate.stride + c];
  y.data[blockIdx.y * y.stride + c] =
      g / (1.0F + exp_f32(-g)) * up.data[blockIdx.y * up.stride + c];
}

__global__ void add_kernel(ConstRows x, Rows y) {
  const std::uint32_t c = column();
  if (c < y.cols) y.data[blockIdx.y * y.stride + c] += x.data[blockIdx.y * x.stride + c];
}

// Blocks [groups of a row / warps, rows]. A lane adds every 32nd number, then a fixed tree.
__global__ void rms_norm_kernel(ConstRows x, const float* gain, std::uint32_t group, float eps,
                                Rows y) {
  const std::uint32_t lane = threadIdx.x % 32;
  const std::uint32_t at = (blockIdx.x * (kNormThreads / 32) + threadIdx.x / 32) * group;
  if (at >= x.cols) return;
  const float* from = x.data + blockIdx.y * x.stride + at;
  float* to = y.data + blockIdx.y * y.stride + at;
  float squares = 0;
  for (std::uint32_t i = lane; i < group; i += 32) squares = fmaf(from[i], from[i], squares);
  const float mean = warp_sum(squares) / static_cast<float>(group);
  const float factor = 1.0F / sqrtf(mean + eps);
  for (std::uint32_t i = lane; i < group; i += 32) to[i] = from[i] * factor * gain[i];
}

// The angle is a float32 product, as the checkpoints were trained with; its sine and cosine are
// taken in double, since an angle of a million has few bits behind the point.
__global__ void rope_angles_kernel(const std::int32_t* positions, const float* inv_freq,
                                   std::uint32_t frequencies, Rows cos_sin) {
  const std::uint32_t i = column();
  if (i >= frequencies) return;
  const float angle = static_cast<float>(positions[blockIdx.y]) * inv_freq[i];
  float* row = cos_sin.data + blockIdx.y * cos_sin.stride;
  row[i] = static_cast<float>(cos(static_cast<double>(angle)));
  row[frequencies + i] = static_cast<float>(sin(static_cast<double>(angle)));
}

// A thread turns one pair of one head.
__global__ void rope_kernel(Rows x, ConstRows cos_sin, std::uint32_t head_dim, bool halves) {
  const std::uint32_t half = cos_sin.cols / 2;
  const std::uint32_t pair = column();
  if (pair >= x.cols / head_dim * half) return;
  const std::uint32_t i = pair % half;
  float* head = x.data + blockIdx.y * x.stride + pair / half * head_dim;
  const float c = cos_sin.data[blockIdx.y * cos_sin.stride + i];
  const float s = cos_sin.data[blockIdx.y * cos_sin.stride + half + i];
  float& a = head[halves ? i : 2 * i];
  float& b = head[halves ? i + half : 2 * i + 1];
  const float turned = a * c - b * s;
  b = a * s + b * c;
  a = turned;
}

void embed(const std::int32_t* tokens, const void* table, WeightFormat format, Rows out,
           cudaStream_t stream) {
  gpu::launch<embed_kernel>({grid_of(out.cols, out.rows), dim3(kThreads), 0, stream}, tokens, table,
                            format, out);
}

void round_to_bf16(ConstRows x, void* to, cudaStream_t stream) {
  gpu::launch<round_kernel>({grid_of(x.cols, x.rows), dim3(kThreads), 0, stream}, x,
                            static_cast<__nv_bfloat16*>(to));
}

void silu_mul(ConstRows gate, ConstRows up, Rows y, cudaStream_t stream) {
  gpu::launch<silu_mul_kernel>({grid_of(y.cols, y.rows), dim3(kThreads), 0, stream}, gate, up, y);
}

void add(ConstRows x, Rows y, cudaStream_t stream) {
  gpu::launch<add_kernel>({grid_of(y.cols, y.rows), dim3(kThreads), 0, stream}, x, y);
}

void rms_norm(ConstRows x, const float* gain, std::uint32_t group, float eps, Rows y,
              cudaStream_t stream) {
  constexpr std::uint32_t kWarps = kNormThreads / 32;
  const dim3 grid((x.cols / group + kWarps - 1) / kWarps, x.rows);
  gpu::launch<rms_norm_kernel>({grid, dim3(kNormThreads), 0, stream}, x, gain, group, eps, y);
}

void rope_angles(const std::int32_t* positions, const float* inv_freq, std::uint32_t frequencies,
                 Rows cos_sin, cudaStream_t stream) {
  gpu::launch<rope_angles_kernel>({grid_of(frequencies, cos_sin.rows), dim3(kThreads), 0, stream},
                                  positions, inv_freq, frequencies, cos_sin);
}

void rope(Rows x, ConstRows cos_sin, std::uint32_t head_dim, bool halves, cudaStream_t stream) {
  const std::uint32_t pairs = x.cols / head_dim * (cos_sin.cols / 2);
  gpu::launch<rope_kernel>({grid_of(pairs, x.rows), dim3(kThreads), 0, stream}, x, cos_sin,
                           head_dim, halves);
}

}  // namespace varve::cuda
