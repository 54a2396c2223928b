// Where the Unicode tables of Hugging Face's `tokenizers` (0.23: Unicode 9 to normalize, 16 in
// regular expressions, 17 for digits) and those of Debian's libraries (PCRE2 10.42: Unicode 14,
// utf8proc 2.8: Unicode 15) give different ids, the former's opinion. Found by comparing them on
// every code point.
#pragma once

#include <string_view>

namespace varve {

/// As the inside of a regular expression's class: general category L since Unicode 15. Harmless to
/// a PCRE2 that knows them.
extern const std::string_view kNewerLetters;
/// General category N since Unicode 15, to 16.
extern const std::string_view kNewerNumbers;
/// Category N of Unicode 17, besides.
extern const std::string_view kNumbersOfUnicode17;

/// Combining characters since Unicode 10: normalization form C, as `tokenizers` has it, neither
/// moves nor composes them, nor anything across them.
bool is_unordered_mark(char32_t value);

}  // namespace varve
