// Splits a normalized text into the words within which tokens are merged.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/text/pattern.h"
#include "common/text/tokenizer_spec.h"

namespace varve {

/// Where a text stands in what is encoded.
struct TextPlace {
  bool first = true;       // nothing stands before it
  bool continues = false;  // it goes on with a text that was encoded before: no space in front
};

/// Immutable and thread-safe once built.
class PreTokenizer {
 public:
  /// IoError for a pattern that does not compile, or steps in an order that has no meaning.
  PreTokenizer(const std::vector<PreTokenizerStep>& steps, const std::string& where);

  using WordSink = std::function<void(std::string_view word)>;

  /// Calls `sink` with each word, none of them empty, from left to right. `text` must be valid
  /// UTF-8. A word is valid during the call alone.
  void split(std::string_view text, const TextPlace& place, const WordSink& sink) const;

 private:
  // One of the two, or both: a space in front, then a split.
  struct Stage {
    std::string prefix;         // empty: none
    std::string space_becomes;  // empty: spaces stay
    MetaspaceStep::Prepend prepend = MetaspaceStep::Prepend::kNever;
    std::vector<Pattern> pattern;  // none or one
    SplitBehavior behavior = SplitBehavior::kIsolated;
    bool invert = false;
  };

  static Stage stage_of(const PreTokenizerStep& step, const std::string& where);
  void run(std::size_t stage, std::string_view text, const TextPlace& place,
           const WordSink& sink) const;
  void split_at_matches(const Stage& stage, std::string_view text, const WordSink& sink) const;

  std::vector<Stage> stages_;
};

}  // namespace varve
