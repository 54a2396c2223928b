#pragma once

#include <cstddef>

namespace varve {

/// Bytes of this machine's memory, or 0 if the system does not say.
std::size_t machine_memory();

}  // namespace varve
