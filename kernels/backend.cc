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
  if (has_cuda()) names.emplace_back("cuda");
  return names;
}

std::unique_ptr<Ops> make_ops(std::string_view backend, std::size_t threads) {
  return make_pinned_ops(backend, threads, {});
}

std::unique_ptr<Ops> make_pinned_ops(std::string_view backend, std::size_t threads,
                                     std::span<const std::uint32_t> cores) {
  VARVE_CHECK(threads >= 1, "{} threads", threads);
  if (backend == "reference") return make_reference_ops();
  if (backend == "cpu" || backend == "auto") return make_cpu_ops(isas().front(), threads, cores);
  if (backend.starts_with(kCpuPrefix))
    return make_cpu(backend.substr(kCpuPrefix.size()), threads, cores);
  if (backend == "cuda") return make_cuda_ops();
  throw DeviceError(fmt::format("unknown backend '{}'; this machine has {}", backend,
                                fmt::join(backends(), ", ")));
}

}  // namespace varve
