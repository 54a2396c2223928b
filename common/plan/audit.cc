#include "common/plan/audit.h"

#include <algorithm>

namespace varve {
namespace {

constexpr std::uint32_t kSpanRows = 8;
constexpr std::size_t kMostCells = 512;
// Numbers of one kind in all reports: what a browser and a text editor still open.
constexpr std::size_t kMostNumbers = std::size_t{1} << 21U;

std::uint32_t widened(std::uint32_t width, std::size_t rows, std::size_t grids) {
  while (width < rows && grid_size(rows, width) * grids > kMostNumbers) width *= 2;
  return width;
}

}  // namespace

AuditOrders audit_orders(const ModelConfig& model, std::size_t rows, std::size_t questions,
                         bool own_maps) {
  const std::size_t maps = model.layers * model.kv_heads * (own_maps ? questions + 1 : 1);
  const auto cell =
      static_cast<std::uint32_t>(std::max(grid_size(rows, kMostCells), std::size_t{1}));
  return {widened(kSpanRows, rows, questions + 1), widened(cell, rows, maps)};
}

}  // namespace varve
