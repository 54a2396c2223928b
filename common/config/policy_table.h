// The cache policies that a job may name.
#pragma once

#include <span>
#include <string_view>

namespace varve {

struct PolicyInfo {
  std::string_view name;
  std::string_view summary;  // one line, for --help and for messages
};

std::span<const PolicyInfo> policies();

}  // namespace varve
