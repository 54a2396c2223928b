// From an address that a kernel computed to the host's memory, checked.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tests/cuda_on_cpu/ptx/machine.h"
#include "tests/cuda_on_cpu/ptx/syntax.h"

namespace varve::ptx {

/// The space that an opcode's words name.
Space space_of(const Statement& s);

/// Fails unless the bytes may be accessed and are aligned to `alignment`.
unsigned char* resolve(Warp& warp, const Instruction& i, Space space, unsigned lane,
                       std::uint64_t address, std::size_t bytes, std::size_t alignment);

}  // namespace varve::ptx
