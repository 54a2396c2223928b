// The words of the emulator's messages.
#pragma once

#include <vector_types.h>

#include <string>

#include "tests/cuda_on_cpu/emulator/place.h"

namespace varve::emulator {

/// "row_norm.cc:31"
std::string to_string(Place at);
/// "(1,0,2)"
std::string to_string(uint3 index);
inline std::string to_string(dim3 size) {
  return to_string(uint3{size.x, size.y, size.z});
}

}  // namespace varve::emulator
