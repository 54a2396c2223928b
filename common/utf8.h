// UTF-8 of text that nobody has checked. Ill-formed bytes become U+FFFD one maximal subpart at a
// time, as the WHATWG Encoding Standard and Python's errors='replace' do, so that token ids agree
// with tokenizers that saw such a decoded text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace varve {

constexpr char32_t kReplacementCharacter = 0xFFFD;

struct CodePoint {
  char32_t value = kReplacementCharacter;
  std::size_t length = 0;  // bytes: of the sequence, or of the maximal ill-formed subpart
  bool valid = false;
  bool truncated = false;  // ill-formed only because the text ends: more bytes could complete it
};

/// What stands at text[at]; `at` must be less than text.size().
CodePoint decode_utf8(std::string_view text, std::size_t at);

void append_utf8(std::string& out, char32_t value);

/// Bytes before the first that are not UTF-8; the text's size if all are.
std::size_t valid_utf8_prefix(std::string_view text);

inline bool is_valid_utf8(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

std::string replace_invalid_utf8(std::string_view text);

/// Unicode White_Space, and U+001C to U+001F, which Python's str.strip also takes.
bool is_space(char32_t value);

/// Without spaces at both ends, as Python's str.strip.
std::string_view trim(std::string_view text);

}  // namespace varve
