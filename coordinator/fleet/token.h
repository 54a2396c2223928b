// The launch token: made by rank 0, carried to the others by MPI, shown at the handshake.
#pragma once

#include <string>
#include <string_view>

namespace varve {

/// 128 random bits from the kernel, as 32 hexadecimal digits.
std::string make_launch_token();

/// Takes the same time wherever the first difference is.
bool same_token(std::string_view a, std::string_view b);

}  // namespace varve
