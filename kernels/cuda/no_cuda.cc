// Linked in place of the CUDA backend where the build has none, so that callers need no #ifdef.
#include "common/error.h"
#include "kernels/cuda/cuda_ops.h"

namespace varve {

std::vector<CudaDevice> cuda_devices() {
  return {};
}

std::string cuda_versions() {
  return {};
}

std::unique_ptr<Ops> make_cuda_ops(int /*device*/, CudaPrecision /*precision*/, bool /*graphs*/) {
  throw DeviceError(std::string("backend cuda: ") + kNoCuda);
}

}  // namespace varve
