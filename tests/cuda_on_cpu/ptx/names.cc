#include "tests/cuda_on_cpu/ptx/names.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace varve::ptx {

std::string readable_name(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? std::string(text.get()) : mangled;
}

}  // namespace varve::ptx
