#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/cuda_on_cpu/fakes/machine.h"

namespace varve::fakes {

enum class Side { kHost, kDevice };

/// Memory that a call names.
struct Place {
  const void* begin;
  std::size_t bytes;
  Side side;
  std::uint64_t serial;  // of its block or pinned range; 0: host memory that CUDA does not know
};

/// Nothing if memory of that side (any, if none is given) does not reach that far; then `why` says
/// so.
std::optional<Place> find_place(Machine& machine, const void* p, std::size_t bytes,
                                std::optional<Side> side, std::string& why);

/// KernelError if the memory was freed since.
void check_place(Machine& machine, const Place& place, const char* what);

/// The sides of a copy: to, from. Nothing for a kind that is none.
struct Sides {
  std::optional<Side> to, from;
};
std::optional<Sides> sides_of(cudaMemcpyKind kind);

}  // namespace varve::fakes
