// The words of a PTX text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace varve::ptx {

struct Token {
  enum class Kind : std::uint8_t {
    kWord,    // opcode, directive, register, label, symbol: dots and $ % _ :: included
    kNumber,  // 12, 0x1f, 0f3F800000
    kText,    // between quotation marks, without them
    kMark,    // one character
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string_view text;
  std::uint32_t line = 0;

  bool is(std::string_view what) const { return kind != Kind::kText && text == what; }
};

/// The tokens of `text` (which must outlive them) and one of kind kEnd; comments are left out.
std::vector<Token> tokenize(std::string_view text);

/// 12, 0x1f, 017, 0b101, 12U; 0f3F800000 and 0d... as their bits. std::invalid_argument if neither.
std::uint64_t parse_number(std::string_view text);

}  // namespace varve::ptx
