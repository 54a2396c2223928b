// GPT-2's byte alphabet: one printable character per byte, so that a vocabulary of byte strings can
// be written as text (https://github.com/openai/gpt-2, encoder.py, bytes_to_unicode). Printable
// bytes of Latin-1 stand for themselves, the other 68 for U+0100 and on, in order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace varve {

char32_t byte_to_character(std::uint8_t byte);

/// Absent for a character that is not in the alphabet.
std::optional<std::uint8_t> character_to_byte(char32_t character);

/// The bytes that `token` spells; `token` itself if a character is not in the alphabet.
std::string bytes_of_token(std::string_view token);

/// `bytes` in the alphabet.
std::string spell_bytes(std::string_view bytes);

}  // namespace varve
