// Names from files that nobody has checked, made safe to print.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace varve {

/// Whatever is not printable ASCII is escaped, and what follows the first `most` bytes is left out,
/// so that a corrupt length cannot flood a message.
std::string escaped(std::string_view text, std::size_t most = 80);

/// The same in single quotes.
std::string in_quotes(std::string_view text);

}  // namespace varve
