// Letters and numbers that newer versions of Unicode added, as the inside of a regular expression's
// class: what PCRE2 10.42 (Unicode 14) lacks. Harmless to a PCRE2 that knows them.
#pragma once

#include <string_view>

namespace varve {

/// General category L, Unicode 15.0 to 16.0.
extern const std::string_view kNewerLetters;
/// General category N, Unicode 15.0 to 16.0.
extern const std::string_view kNewerNumbers;
/// Category N of Unicode 17.0, besides.
extern const std::string_view kNumbersOfUnicode17;

}  // namespace varve
