#include "common/in_quotes.h"

#include <fmt/format.h>

#include "common/utf8.h"

namespace varve {
namespace {

bool is_printable(const CodePoint& point) {
  const bool control = point.value < 0x20 || (point.value >= 0x7f && point.value < 0xa0);
  return point.valid && !control;
}

}  // namespace

std::string escaped(std::string_view text, std::size_t most) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_utf8(text, at);
    if (at + point.length > most) return out + "...";
    const std::string_view bytes = text.substr(at, point.length);
    at += point.length;
    if (is_printable(point)) {
      out += bytes;
    } else if (bytes == "\n") {
      out += "\\n";
    } else {
      for (const char c : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string in_quotes(std::string_view text, std::size_t most) {
  return fmt::format("'{}'", escaped(text, most));
}

}  // namespace varve
