// The kernels that this binary could launch, and how often each was. A check over all tests can so
// find a kernel that nobody launched.
//
// If the environment variable VARVE_KERNEL_LOG names a file, a line "NAME COUNT" for each kernel is
// appended to it when the process exits; several processes may share the file.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

namespace varve::emulator {

class KernelRecord {
 public:
  /// Enters the registry. The name, and the record, must live as long as the process.
  explicit KernelRecord(std::string_view name);
  KernelRecord(const KernelRecord&) = delete;
  KernelRecord& operator=(const KernelRecord&) = delete;

  std::string_view name() const { return name_; }
  std::uint64_t launches() const { return launches_.load(std::memory_order_relaxed); }
  void count_launch() { launches_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::string_view name_;
  std::atomic<std::uint64_t> launches_{0};
};

/// All of this binary, in no certain order.
std::vector<const KernelRecord*> kernel_records();

namespace detail {

// What follows "Kernel = " in the compiler's name of a template of it: "varve::row_norm<128>" for
// GCC, with an & before it and another end for clang.
constexpr std::string_view kernel_in(std::string_view pretty) {
  constexpr std::string_view kBefore = "Kernel = ";
  pretty.remove_prefix(pretty.find(kBefore) + kBefore.size());
  if (pretty.starts_with('&')) pretty.remove_prefix(1);
  return pretty.substr(0, pretty.find_first_of(";]"));
}

template <auto* Kernel>
constexpr std::string_view kernel_name() {
  return kernel_in(__PRETTY_FUNCTION__);
}

}  // namespace detail

/// The record of a kernel; that the program names it anywhere is enough for it to be in the list.
template <auto* Kernel>
inline KernelRecord kernel_record{detail::kernel_name<Kernel>()};

}  // namespace varve::emulator
