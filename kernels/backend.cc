#include <fmt/ranges.h>

#include "common/error.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/ops.h"
#include "kernels/reference/reference_ops.h"

namespace varve {

std::vector<std::string> backends() {
  std::vector<std::string> names{"auto", "reference"};
  if (has_cuda()) names.emplace_back("cuda");
  return names;
}

std::unique_ptr<Ops> make_ops(std::string_view backend, std::size_t threads) {
  VARVE_CHECK(threads >= 1, "{} threads", threads);
  if (backend == "reference" || backend == "auto") return make_reference_ops();
  if (backend == "cuda") return make_cuda_ops();
  throw DeviceError(fmt::format("unknown backend '{}'; this machine has {}", backend,
                                fmt::join(backends(), ", ")));
}

}  // namespace varve
