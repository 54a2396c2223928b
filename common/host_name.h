// The name that this machine goes by, for messages and for telling which ranks share a host.
#pragma once

#include <string>

namespace varve {

/// "an unknown host" if the system has none.
std::string host_name();

}  // namespace varve
