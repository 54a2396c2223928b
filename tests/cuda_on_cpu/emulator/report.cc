#include "tests/cuda_on_cpu/emulator/report.h"

#include <fmt/format.h>

#include <string_view>

namespace varve::emulator {

const char* name(Word word) {
  switch (word) {
    case Word::kSyncthreads:
      return "__syncthreads";
    case Word::kSyncwarp:
      return "__syncwarp";
    case Word::kShfl:
      return "__shfl_sync";
    case Word::kShflXor:
      return "__shfl_xor_sync";
    case Word::kShflUp:
      return "__shfl_up_sync";
    case Word::kShflDown:
      return "__shfl_down_sync";
    case Word::kBallot:
      return "__ballot_sync";
    case Word::kAny:
      return "__any_sync";
    case Word::kAll:
      return "__all_sync";
    case Word::kLdmatrix:
      return "ldmatrix_x4";
    case Word::kMmaBf16:
      return "mma_bf16";
    case Word::kMmaF16:
      return "mma_f16";
  }
  return "";
}

std::string to_string(Place at) {
  const std::string_view file(at.file);
  return fmt::format("{}:{}", file.substr(file.rfind('/') + 1), at.line);
}

std::string to_string(uint3 index) {
  return fmt::format("({},{},{})", index.x, index.y, index.z);
}

}  // namespace varve::emulator
