#pragma once

#include <cstddef>
#include <memory>

#include "kernels/cpu/isa.h"
#include "kernels/ops.h"

namespace varve {

/// The vector backend: host memory, `threads` threads, one instruction set of `isas()`.
std::unique_ptr<Ops> make_cpu_ops(const Isa& isa, std::size_t threads);

}  // namespace varve
