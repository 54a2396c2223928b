// Kernels of attend_mma.h and their launches for one compiled head size; attend_mma_D.cu makes
// them.
#pragma once

#include "kernels/cuda/attend_mma.h"
#include "kernels/cuda/kernels.h"

namespace varve::cuda {

/// Warps of a block that takes rows through all runs. Sums of long heads leave registers for two.
constexpr int row_warps(int dim) {
  return dim > 128 ? 2 : 4;
}

// Blocks [tiles of an item's rows, Hkv].
template <class Stored, int D>
__global__ void __launch_bounds__(row_warps(D) * 32)
    attend_mma_rows(Attention a, const Head* heads, std::uint32_t row_begin,
                    std::uint32_t row_count, Partials state) {
  VARVE_DYNAMIC_SHARED(memory);
  using Fold = MmaFold<Stored, D, row_warps(D)>;
  const std::uint32_t group = a.q_heads / a.kv_heads;
  // Later tiles see more keys; taking them first leaves the small ones to fill the end.
  const std::uint32_t tile = gridDim.x - 1 - blockIdx.x;
  Fold fold(a, heads[blockIdx.y],
            {row_begin, row_count, tile * Fold::Shape::kQueries, blockIdx.y, group}, memory);
  const std::uint32_t rows = heads[blockIdx.y].rows;
  for (std::uint32_t run = 0; run * kRunRows < rows; ++run) {
    fold.template fold_run<true>(run, state, 0);
  }
}

// Blocks [tasks, tiles of the task with most rows, Hkv].
template <class Stored, int D>
__global__ void __launch_bounds__(32)
    attend_mma_runs(Attention a, const Head* heads, const RunTask* tasks, Partials slots) {
  VARVE_DYNAMIC_SHARED(memory);
  using Fold = MmaFold<Stored, D, 1>;
  const RunTask task = tasks[blockIdx.x];
  const std::uint32_t group = a.q_heads / a.kv_heads;
  const std::uint32_t first = blockIdx.y * Fold::Shape::kQueries;
  if (first >= task.row_count * group) return;
  Fold fold(a, heads[task.item * a.kv_heads + blockIdx.z],
            {task.row_begin, task.row_count, first, blockIdx.z, group}, memory);
  fold.template fold_run<false>(task.run, slots, task.slot - task.row_begin);
}

template <class Stored, int D>
void launch_mma_rows(const AttendRows& call, cudaStream_t stream) {
  using Shape = MmaShape<D, row_warps(D)>;
  const Attention& a = call.attention;
  const std::uint32_t queries = call.row_count * (a.q_heads / a.kv_heads);
  const dim3 grid((queries + Shape::kQueries - 1) / Shape::kQueries, a.kv_heads);
  gpu::launch<attend_mma_rows<Stored, D>>(
      {grid, dim3(Shape::kThreads), Shape::kSharedBytes, stream}, a, call.heads, call.row_begin,
      call.row_count, call.state);
}

template <class Stored, int D>
void launch_mma_runs(const AttendRuns& call, cudaStream_t stream) {
  using Shape = MmaShape<D, 1>;
  const Attention& a = call.attention;
  const std::uint32_t queries = call.most_rows * (a.q_heads / a.kv_heads);
  const dim3 grid(call.task_count, (queries + Shape::kQueries - 1) / Shape::kQueries, a.kv_heads);
  gpu::launch<attend_mma_runs<Stored, D>>(
      {grid, dim3(Shape::kThreads), Shape::kSharedBytes, stream}, a, call.heads, call.tasks,
      call.slots);
}

/// The launches of head size D for a format of 16-bit or integer rows.
template <int D>
MmaLaunches mma_launches(RowFormat format) {
  switch (format) {
    case RowFormat::kF16:
      return {launch_mma_rows<HalfRows, D>, launch_mma_runs<HalfRows, D>};
    case RowFormat::kBF16:
      return {launch_mma_rows<BrainRows, D>, launch_mma_runs<BrainRows, D>};
    default:
      return {launch_mma_rows<GroupedRows, D>, launch_mma_runs<GroupedRows, D>};
  }
}

}  // namespace varve::cuda
