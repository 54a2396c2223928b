#include "common/utf8.h"

#include <cstdint>

namespace varve {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

// What a lead byte announces: trailing bytes, and the range of the first of them (Unicode, table
// 3-7), which excludes overlong forms, surrogates and what lies beyond U+10FFFF.
struct Lead {
  std::size_t trailing = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  char32_t bits = 0;
  bool valid = true;
};

Lead lead_of(std::uint8_t byte) {
  if (byte < 0x80) return {0, 0x80, 0xBF, byte, true};
  if (byte < 0xC2 || byte > 0xF4) return {0, 0x80, 0xBF, 0, false};
  if (byte < 0xE0) return {1, 0x80, 0xBF, static_cast<char32_t>(byte & 0x1F), true};
  const std::uint8_t low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
  if (byte < 0xF0) return {2, low, high, static_cast<char32_t>(byte & 0x0F), true};
  return {3, low, high, static_cast<char32_t>(byte & 0x07), true};
}

// Bytes from `at` on that are ASCII.
std::size_t ascii_run(std::string_view text, std::size_t at) {
  const std::size_t begin = at;
  while (at < text.size() && byte_at(text, at) < 0x80) ++at;
  return at - begin;
}

}  // namespace

CodePoint decode_utf8(std::string_view text, std::size_t at) {
  Lead lead = lead_of(byte_at(text, at));
  CodePoint result{kReplacementCharacter, 1, false, false};
  if (!lead.valid) return result;
  for (std::size_t i = 0; i < lead.trailing; ++i) {
    if (at + result.length == text.size()) {
      result.truncated = true;
      return result;
    }
    const std::uint8_t byte = byte_at(text, at + result.length);
    if (byte < lead.low || byte > lead.high) return result;
    lead.bits = (lead.bits << 6) | (byte & 0x3F);
    lead.low = 0x80;
    lead.high = 0xBF;
    ++result.length;
  }
  result.value = lead.bits;
  result.valid = true;
  return result;
}

void append_utf8(std::string& out, char32_t value) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (value < 0x80) return put(value);
  if (value < 0x800) {
    put(0xC0 | (value >> 6));
  } else if (value < 0x10000) {
    put(0xE0 | (value >> 12));
    put(0x80 | ((value >> 6) & 0x3F));
  } else {
    put(0xF0 | (value >> 18));
    put(0x80 | ((value >> 12) & 0x3F));
    put(0x80 | ((value >> 6) & 0x3F));
  }
  put(0x80 | (value & 0x3F));
}

std::size_t valid_utf8_prefix(std::string_view text) {
  for (std::size_t at = ascii_run(text, 0); at < text.size(); at += ascii_run(text, at)) {
    const CodePoint point = decode_utf8(text, at);
    if (!point.valid) return at;
    at += point.length;
  }
  return text.size();
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_utf8(text, at);
    if (point.valid) {
      out.append(text, at, point.length);
    } else {
      append_utf8(out, kReplacementCharacter);
    }
    at += point.length;
  }
  return out;
}

bool is_space(char32_t value) {
  if (value < 0x80) return (value >= 9 && value <= 13) || (value >= 0x1C && value <= 0x20);
  return value == 0x85 || value == 0xA0 || value == 0x1680 ||
         (value >= 0x2000 && value <= 0x200A) || value == 0x2028 || value == 0x2029 ||
         value == 0x202F || value == 0x205F || value == 0x3000;
}

std::string_view trim(std::string_view text) {
  while (!text.empty()) {
    const CodePoint first = decode_utf8(text, 0);
    if (!first.valid || !is_space(first.value)) break;
    text.remove_prefix(first.length);
  }
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (byte_at(text, begin) & 0xC0) == 0x80) --begin;
    const CodePoint last = decode_utf8(text, begin);
    if (!last.valid || begin + last.length != text.size() || !is_space(last.value)) break;
    text.remove_suffix(last.length);
  }
  return text;
}

}  // namespace varve
