// make_ops (kernels/ops.h) for who also says where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernels/ops.h"

namespace varve {

/// Where a backend computes.
struct OpsPlace {
  std::size_t threads = 1;
  /// Of a cpu backend, one for each thread, or none: its threads are kept on them, and so is the
  /// calling thread until the end of the Ops (ThreadPool).
  std::span<const std::uint32_t> cores{};
  int device = 0;      // number of the GPU of a cuda backend
  bool graphs = true;  // of a cuda backend: decode steps are CUDA graphs
};

/// Of a backend that make_ops knows, without making it.
WeightForm weight_form(std::string_view backend);

/// As make_ops of kernels/ops.h.
std::unique_ptr<Ops> make_ops(std::string_view backend, const OpsPlace& place);

}  // namespace varve
