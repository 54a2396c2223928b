// Products with packed weights, one table of functions per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/tensor.h"
#include "kernels/cpu/panel.h"

namespace varve {

/// One call of `linear`: y [T, N] = x [T, K] w^T + bias.
struct LinearJob {
  PanelWeight w;
  ConstMatrix x;
  const float* bias = nullptr;  // [N] or none
  Matrix y;
};

/// tile [k_end - k_begin][kPanelOutputs] = panel p of the weight, decoded. k_begin is a multiple of
/// kGroupK; `tile` is aligned as a Buffer.
using DecodePanel = void (*)(const PanelWeight& w, std::size_t p, std::size_t k_begin,
                             std::size_t k_end, float* tile);

/// Few rows go through `gemv`, which streams the weight once and decodes it in registers. Many rows
/// go through pack and gemm, which decode a tile of the weight into the cache and use it for all
/// rows. Both give the same bits.
struct LinearKernels {
  std::size_t gemv_rows;   // most rows of gemv
  std::size_t block_rows;  // rows of x that pack lays side by side
  std::size_t tile_bytes;  // scratch of one thread in gemm
  void (*gemv)(const LinearJob& job, std::size_t panel_begin, std::size_t panel_end);
  /// Block b of x (rows [b * block_rows, ...)) becomes [K][rows of the block] at
  /// packed + b * block_rows * K.
  void (*pack)(ConstMatrix x, std::size_t block_begin, std::size_t block_end, float* packed);
  void (*gemm)(const LinearJob& job, const float* packed, std::size_t panel_begin,
               std::size_t panel_end, float* tile);
  DecodePanel decode_panel;  // none where a panel is more than two vectors
  /// out [K] = row `row` of the weight, decoded.
  void (*decode_row)(const PanelWeight& w, std::size_t row, float* out);
};

LinearKernels linear_kernels(std::int64_t target);

}  // namespace varve
