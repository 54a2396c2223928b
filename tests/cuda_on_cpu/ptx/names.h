#pragma once

#include <string>

namespace varve::ptx {

/// _Z3addPf as add(float*); any other name as it is.
std::string readable_name(const std::string& mangled);

}  // namespace varve::ptx
