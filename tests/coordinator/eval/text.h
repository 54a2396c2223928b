// Running text without a tokenizer: a word is a token.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "coordinator/eval/source_text.h"

namespace varve {

inline std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  bool before = false;
  for (const char c : text) {
    const bool inside = c != ' ' && c != '\n';
    if (inside && !before) ++words;
    before = inside;
  }
  return words;
}

/// `count` sentences of 3 to 12 words, all different, two on a line; their words are numbers but
/// for the two that begin each and a few plain ones.
inline std::string sentences(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += fmt::format("Verse{} was", i);
    for (std::size_t word = 0; word <= i * 7 % 10; ++word) {
      const auto letter = static_cast<char>('a' + (i + word) % 26);
      text += fmt::format(" {}", std::string(4 + (i + word) % 5, letter));
    }
    text += i % 2 == 0 ? ". " : ".\n";
  }
  return text;
}

inline std::unique_ptr<const SourceText> source_of(std::size_t count) {
  return std::make_unique<const SourceText>(sentences(count), "book.txt", count_words);
}

}  // namespace varve
