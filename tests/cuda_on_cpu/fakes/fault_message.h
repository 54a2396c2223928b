#pragma once

#include <cstddef>

namespace varve::fakes {

/// From now on a fault at one of these addresses prints one line before it ends the process. Other
/// faults are left to whoever handled them before.
void explain_faults_in(const std::byte* begin, std::size_t bytes);

}  // namespace varve::fakes
