// Linked in place of the CUDA backend where the build has none, so that callers need no #ifdef.
#include "common/error.h"
#include "kernels/cuda/cuda_ops.h"

namespace varve {

bool has_cuda() {
  return false;
}

std::unique_ptr<Ops> make_cuda_ops(int /*device*/, CudaPrecision /*precision*/) {
  throw DeviceError(
      "backend 'cuda': this build of varve has no CUDA; backend auto, cpu or reference "
      "would be right");
}

}  // namespace varve
