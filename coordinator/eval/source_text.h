// Running text by sentences: what the documents of samples are cut from.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

/// Tokens that a text takes on its own.
using CountTokens = std::function<std::size_t(std::string_view)>;

/// Immutable. A sentence ends with '.', '!' or '?', closing quotes and brackets behind it included,
/// before white space; what follows the last one is left out.
class SourceText {
 public:
  /// ConfigError, beginning with `name`, if there is no sentence.
  SourceText(std::string text, std::string name, const CountTokens& count);

  struct Sentence {
    std::string_view text;   // without white space around it
    bool ends_line = false;  // in the file
    std::size_t tokens = 0;  // with a space in front
  };
  const std::vector<Sentence>& sentences() const { return sentences_; }
  /// Of all sentences.
  std::size_t tokens() const { return tokens_; }
  /// Indices of sentences, by their tokens.
  const std::vector<std::size_t>& by_tokens() const { return by_tokens_; }
  /// Words of 4 to 8 small letters that occur in it, each once, sorted.
  const std::vector<std::string>& words() const { return words_; }
  /// The file, for messages.
  const std::string& name() const { return name_; }

  // Its sentences refer to its text.
  SourceText(const SourceText&) = delete;
  SourceText& operator=(const SourceText&) = delete;

 private:
  void find_sentences(const CountTokens& count);
  void find_words();

  std::string text_;
  std::string name_;
  std::vector<Sentence> sentences_;
  std::vector<std::size_t> by_tokens_;
  std::vector<std::string> words_;
  std::size_t tokens_ = 0;
};

}  // namespace varve
