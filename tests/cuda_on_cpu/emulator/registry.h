// The kernels that this binary could launch, and how often each was. A check over all tests can so
// find a kernel that nobody launched.
//
// If the environment variable VARVE_KERNEL_LOG names a file, a line "NAME COUNT" for each kernel is
// appended to it when the process exits; several processes may share the file.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

namespace varve::emulator {

class KernelRecord {
 public:
  /// Enters the registry: it must live as long as the process.
  explicit KernelRecord(std::string name);
  KernelRecord(const KernelRecord&) = delete;
  KernelRecord& operator=(const KernelRecord&) = delete;

  std::string_view name() const { return name_; }
  std::uint64_t launches() const { return launches_.load(std::memory_order_relaxed); }
  void count_launch() { launches_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::string_view name_;  // kept by the registry, which no static object outlives
  std::atomic<std::uint64_t> launches_{0};
};

/// All of this binary, in no certain order.
std::vector<const KernelRecord*> kernel_records();

namespace detail {

template <auto* Kernel>
struct Tag {};

// "varve::row_norm<128>" from the mangled name of its Tag: unlike __PRETTY_FUNCTION__ it has the
// kernel's template arguments with clang too.
std::string kernel_name(const char* mangled_tag);

}  // namespace detail

/// The record of a kernel; that the program names it anywhere is enough for it to be in the list.
template <auto* Kernel>
inline KernelRecord kernel_record{detail::kernel_name(typeid(detail::Tag<Kernel>).name())};

}  // namespace varve::emulator
