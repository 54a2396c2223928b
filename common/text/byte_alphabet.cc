#include "common/text/byte_alphabet.h"

#include <array>

#include "common/utf8.h"

namespace varve {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> characters{};
  std::array<std::int16_t, 0x144> bytes{};  // by character; -1: not in the alphabet

  constexpr Alphabet() {
    for (auto& byte : bytes) byte = -1;
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char32_t character = stands_for_itself(byte) ? byte : next++;
      characters[byte] = character;
      bytes[character] = static_cast<std::int16_t>(byte);
    }
  }
};

constexpr Alphabet kAlphabet;

}  // namespace

char32_t byte_to_character(std::uint8_t byte) {
  return kAlphabet.characters[byte];
}

std::optional<std::uint8_t> character_to_byte(char32_t character) {
  if (character >= kAlphabet.bytes.size() || kAlphabet.bytes[character] < 0) return std::nullopt;
  return static_cast<std::uint8_t>(kAlphabet.bytes[character]);
}

std::string bytes_of_token(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const CodePoint point = decode_utf8(token, at);
    const auto byte = point.valid ? character_to_byte(point.value) : std::nullopt;
    if (!byte) return std::string(token);
    bytes.push_back(static_cast<char>(*byte));
    at += point.length;
  }
  return bytes;
}

std::string spell_bytes(std::string_view bytes) {
  std::string token;
  for (const char byte : bytes) {
    append_utf8(token, byte_to_character(static_cast<std::uint8_t>(byte)));
  }
  return token;
}

}  // namespace varve
