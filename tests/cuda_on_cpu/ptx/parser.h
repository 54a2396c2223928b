// Reads PTX as nvcc writes it. What it cannot read is a std::runtime_error with path and line.
#pragma once

#include <string>
#include <string_view>

#include "tests/cuda_on_cpu/ptx/syntax.h"

namespace varve::ptx {

/// `path` is what messages call it.
Module parse_module(std::string_view text, const std::string& path);
Module load_module(const std::string& path);

}  // namespace varve::ptx
