// For machines that are not x86-64.
#include "common/error.h"
#include "kernels/cpu/amx.h"

namespace varve {

bool has_amx() {
  return false;
}

std::size_t amx_packed_bytes(std::size_t, std::size_t) {
  return 0;
}

std::size_t amx_scratch_bytes() {
  return 0;
}

void amx_pack(ConstMatrix, std::size_t, std::size_t, void*) {
  VARVE_CHECK(false, "no matrix units");
}

void amx_gemm(const LinearJob&, DecodePanel, const void*, std::size_t, std::size_t, void*) {
  VARVE_CHECK(false, "no matrix units");
}

}  // namespace varve
