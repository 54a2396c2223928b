// Text from files and users that nobody has checked, made safe to print: it cannot move the cursor,
// colour the terminal, begin a line of its own, or flood a message.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace varve {

/// Control characters (a line feed is "\\n", others are "\\x1b" by their bytes) and bytes that are
/// not UTF-8 are escaped. "..." stands for what follows the first `most` bytes, or a little fewer,
/// so that no character is torn.
std::string escaped(std::string_view text, std::size_t most = std::string_view::npos);

/// 'text', escaped.
std::string in_quotes(std::string_view text, std::size_t most = 80);

}  // namespace varve
