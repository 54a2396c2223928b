// The PTX that launches search for their kernels.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cuda_on_cpu/ptx/image.h"
#include "tests/cuda_on_cpu/ptx/run.h"

namespace varve::ptx {

class Library {
 public:
  /// Paths with colons between them: .ptx files, or folders of which every .ptx file is read.
  void add(const std::string& paths);

  /// The entry of a kernel, by the mangled name or else (kernels of an unnamed namespace have names
  /// of nvcc's own) by the readable name and the bytes of its parameters. std::runtime_error if
  /// there is none, or more than one.
  const Program& find(const std::string& mangled, std::string_view readable,
                      std::span<const std::size_t> parameter_bytes);

  const std::vector<std::unique_ptr<Image>>& images() const { return images_; }

 private:
  std::vector<std::unique_ptr<Image>> images_;
  std::map<std::string, const Program*> found_;
};

/// The name of a kernel without what compilers write differently: return type, parameters, the
/// name of an unnamed namespace, suffixes of numbers.
std::string plain_name(std::string_view readable);

}  // namespace varve::ptx
