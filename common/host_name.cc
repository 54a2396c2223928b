#include "common/host_name.h"

#include <unistd.h>

#include <array>

namespace varve {

std::string host_name() {
  std::array<char, 256> name{};  // HOST_NAME_MAX is 64; one byte stays zero
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "an unknown host";
  return name.data();
}

}  // namespace varve
