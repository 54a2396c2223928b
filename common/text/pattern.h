// A TextPattern made ready: finds the spans of a text that match and those between.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/text/regex.h"
#include "common/text/tokenizer_spec.h"

namespace varve {

/// Immutable and thread-safe once built.
class Pattern {
 public:
  /// IoError for a regular expression that does not compile, or an empty string.
  Pattern(const TextPattern& pattern, const std::string& where);

  /// Takes the bytes [begin, end) of the text, and whether they match.
  using SpanSink = std::function<void(std::size_t begin, std::size_t end, bool matches)>;

  /// Covers `text` (valid UTF-8) from left to right without gaps. Matches may be empty; what lies
  /// between is not.
  void for_each_span(std::string_view text, const SpanSink& sink) const;

 private:
  std::string literal_;
  std::optional<Regex> regex_;
};

}  // namespace varve
