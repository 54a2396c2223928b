// The instruction sets that the CPU backend can use on this machine.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace varve {

struct Isa {
  std::int64_t target = 0;  // Highway's bit
  std::string_view name;    // "amx", "avx512", "avx2", "sse4", "neon", "scalar"
  bool amx = false;         // matrix units beside it (amx.h)
};

/// Best first; never empty.
std::vector<Isa> isas();

}  // namespace varve
