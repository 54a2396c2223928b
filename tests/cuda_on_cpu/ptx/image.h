// A loaded module: its variables in memory, its entries decoded when they are first asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/ptx/program.h"
#include "tests/cuda_on_cpu/ptx/syntax.h"

namespace varve::ptx {

class Image {
 public:
  explicit Image(Module module);
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  const Module& module() const { return module_; }
  /// Of a .global or .const variable.
  std::uint64_t address(const Variable& variable) const;
  /// Whether the bytes lie in the module's variables.
  bool holds(std::uint64_t address, std::size_t bytes) const;
  /// nullptr if the module has no such entry.
  const Program* find(const std::string& entry);

 private:
  Module module_;
  std::map<std::string, std::size_t> places_;
  std::unique_ptr<unsigned char[]> storage_;
  std::uint64_t begin_ = 0;
  std::size_t bytes_ = 0;
  std::map<std::string, Function> inlined_;  // what the programs point to
  std::map<std::string, Program> programs_;
};

}  // namespace varve::ptx
