// Linked where a program has no CUDA.
#include "common/error.h"
#include "worker/comm/nccl/nccl_rows.h"

namespace varve {

std::string nccl_version() {
  return {};
}

std::unique_ptr<RowTransport> make_nccl_rows(Communicator&, std::span<const int>, void*, Waiting) {
  throw DeviceError("this build has no NCCL: it was made without CUDA (VARVE_CUDA=on asks for it)");
}

}  // namespace varve
