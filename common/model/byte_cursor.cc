#include "common/model/byte_cursor.h"

#include <fmt/format.h>

#include <utility>

#include "common/error.h"
#include "common/in_quotes.h"

namespace varve {

ByteCursor::ByteCursor(std::span<const std::byte> bytes, std::string path)
    : bytes_(bytes), path_(std::move(path)) {}

std::span<const std::byte> ByteCursor::take(std::uint64_t count, const char* what) {
  if (count > remaining()) {
    fail(offset_, fmt::format("{} takes {} bytes, but the file ends after {} more; the file is "
                              "truncated or corrupt",
                              what, count, remaining()));
  }
  const auto part = bytes_.subspan(offset_, count);
  offset_ += count;
  return part;
}

std::string_view ByteCursor::read_string(const char* what) {
  const auto length = read<std::uint64_t>(what);
  const auto part = take(length, what);
  return {reinterpret_cast<const char*>(part.data()), part.size()};
}

void ByteCursor::expect_room(std::uint64_t count, std::uint64_t least, const char* what) const {
  if (count > remaining() / least) {
    fail(offset_, fmt::format("{} {} cannot follow: the file ends after {} more bytes and each "
                              "takes at least {}",
                              count, what, remaining(), least));
  }
}

void ByteCursor::fail(std::uint64_t at, std::string_view message) const {
  const std::string context = *kind_ == '\0' ? "" : fmt::format(", {} {}", kind_, in_quotes(name_));
  throw IoError(fmt::format("{}: byte {}{}: {}", path_, at, context, message));
}

}  // namespace varve
