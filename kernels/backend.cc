#include "kernels/backend.h"

#include <fmt/ranges.h>

#include "common/error.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cuda/cuda_ops.h"
#include "kernels/ops.h"
#include "kernels/reference/reference_ops.h"

namespace varve {
namespace {

constexpr std::string_view kCpuPrefix = "cpu:";

std::unique_ptr<Ops> make_cpu(std::string_view isa_name, std::size_t threads,
                              std::span<const std::uint32_t> cores) {
  for (const Isa& isa : isas()) {
    if (isa.name == isa_name) return make_cpu_ops(isa, threads, cores);
  }
  throw DeviceError(
      fmt::format("backend 'cpu:{}': this machine has no such instruction set; it has {}", isa_name,
                  fmt::join(backends(), ", ")));
}

}  // namespace

std::vector<std::string> backends() {
  std::vector<std::string> names{"auto", "reference", "cpu"};
  for (const Isa& isa : isas()) names.push_back(fmt::format("{}{}", kCpuPrefix, isa.name));
  if (has_cuda()) names.insert(names.end(), {"cuda", "cuda:f32"});
  return names;
}

WeightForm weight_form(std::string_view backend) {
  if (backend == "auto") backend = has_cuda() ? "cuda" : "cpu";
  if (backend == "cuda") return WeightForm::kBF16;
  return backend == "cuda:f32" ? WeightForm::kF32 : WeightForm::kStored;
}

std::unique_ptr<Ops> make_ops(std::string_view backend, std::size_t threads) {
  return make_ops(backend, OpsPlace{.threads = threads});
}

std::unique_ptr<Ops> make_ops(std::string_view backend, const OpsPlace& place) {
  VARVE_CHECK(place.threads >= 1, "{} threads", place.threads);
  if (backend == "auto") backend = has_cuda() ? "cuda" : "cpu";
  if (backend == "reference") return make_reference_ops();
  if (backend == "cpu") return make_cpu_ops(isas().front(), place.threads, place.cores);
  if (backend.starts_with(kCpuPrefix)) {
    return make_cpu(backend.substr(kCpuPrefix.size()), place.threads, place.cores);
  }
  if (backend == "cuda") return make_cuda_ops(place.device, CudaPrecision::kBF16, place.graphs);
  if (backend == "cuda:f32") return make_cuda_ops(place.device, CudaPrecision::kF32, place.graphs);
  throw DeviceError(fmt::format("unknown backend '{}'; this machine has {}", backend,
                                fmt::join(backends(), ", ")));
}

}  // namespace varve
