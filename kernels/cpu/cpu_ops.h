#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/cpu/isa.h"
#include "kernels/ops.h"

namespace varve {

/// The vector backend: host memory, `threads` threads, one instruction set of `isas()`. `cores`: as
/// ThreadPool.
std::unique_ptr<Ops> make_cpu_ops(const Isa& isa, std::size_t threads,
                                  std::span<const std::uint32_t> cores);

}  // namespace varve
