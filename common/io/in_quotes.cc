#include "common/io/in_quotes.h"

#include <fmt/format.h>

namespace varve {

std::string escaped(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return text.size() > most ? out + "..." : out;
}

std::string in_quotes(std::string_view text) {
  return fmt::format("'{}'", escaped(text));
}

}  // namespace varve
