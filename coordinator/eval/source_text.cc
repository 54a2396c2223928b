#include "coordinator/eval/source_text.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "common/error.h"

namespace varve {
namespace {

constexpr std::string_view kSpaces = " \t\r\n\f\v";
constexpr std::size_t kShortestWord = 4;
constexpr std::size_t kLongestWord = 8;

bool is_space(char c) {
  return kSpaces.find(c) != kSpaces.npos;
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

// Closing quotes and brackets, also U+2019, U+201D and U+00BB, as many as there are.
std::size_t closing_length(std::string_view text) {
  std::size_t length = 0;
  for (;;) {
    const std::string_view rest = text.substr(length);
    std::size_t next = 0;
    for (const std::string_view mark : {"\"", "'", ")", "]", "\u2019", "\u201d", "\u00bb"}) {
      if (rest.starts_with(mark)) next = mark.size();
    }
    if (next == 0) return length;
    length += next;
  }
}

// Where the first sentence of `text` ends; npos if none does.
std::size_t sentence_end(std::string_view text) {
  for (std::size_t at = text.find_first_of(".!?"); at != text.npos;
       at = text.find_first_of(".!?", at + 1)) {
    const std::size_t end = at + 1 + closing_length(text.substr(at + 1));
    if (end == text.size() || is_space(text[end])) return end;
  }
  return text.npos;
}

}  // namespace

SourceText::SourceText(std::string text, std::string name, const CountTokens& count)
    : text_(std::move(text)), name_(std::move(name)) {
  find_sentences(count);
  find_words();
  by_tokens_.resize(sentences_.size());
  std::iota(by_tokens_.begin(), by_tokens_.end(), std::size_t{0});
  std::stable_sort(by_tokens_.begin(), by_tokens_.end(), [this](std::size_t a, std::size_t b) {
    return sentences_[a].tokens < sentences_[b].tokens;
  });
}

void SourceText::find_sentences(const CountTokens& count) {
  std::string_view rest = text_;
  for (;;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(kSpaces), rest.size()));
    const std::size_t end = sentence_end(rest);
    if (end == rest.npos) break;
    const std::string_view sentence = rest.substr(0, end);
    rest.remove_prefix(end);
    const std::size_t next = std::min(rest.find_first_not_of(kSpaces), rest.size());
    const bool ends_line = rest.substr(0, next).find('\n') != rest.npos;
    const std::size_t tokens = count(fmt::format(" {}", sentence));
    sentences_.push_back({sentence, ends_line, tokens});
    tokens_ += tokens;
  }
  if (sentences_.empty()) {
    throw ConfigError(
        fmt::format("{}: has no sentence that ends with a full stop, a question mark or an "
                    "exclamation mark; documents are cut at those",
                    name_));
  }
}

void SourceText::find_words() {
  std::set<std::string> words;
  const std::string_view text = text_;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_letter(text[end])) ++end;
    const std::string_view word = text.substr(at, end - at);
    const bool plain =
        std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
    if (plain && word.size() >= kShortestWord && word.size() <= kLongestWord) words.emplace(word);
    at = std::max(end, at + 1);
  }
  words_.assign(words.begin(), words.end());
}

}  // namespace varve
