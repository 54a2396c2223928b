#include "coordinator/fleet/token.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "common/error.h"

namespace varve {

std::string make_launch_token() {
  std::array<unsigned char, 16> bits{};
  ssize_t got = -1;
  do {
    got = getrandom(bits.data(), bits.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(bits.size())) {
    throw Error(
        ExitCode::kOther,
        fmt::format("no random bits from the kernel for a launch token: {}", std::strerror(errno)));
  }
  std::string text;
  for (unsigned char byte : bits) text += fmt::format("{:02x}", byte);
  return text;
}

bool same_token(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace varve
