#include "common/text/pattern.h"

#include "common/error.h"

namespace varve {
namespace {

// Turns matches, in order, into spans that cover the text.
class Spans {
 public:
  explicit Spans(const Pattern::SpanSink& sink) : sink_(sink) {}

  void add(std::size_t begin, std::size_t end) {
    if (begin > at_) sink_(at_, begin, false);
    sink_(begin, end, true);
    at_ = end;
  }

  void finish(std::size_t size) {
    if (at_ < size) sink_(at_, size, false);
  }

 private:
  const Pattern::SpanSink& sink_;
  std::size_t at_ = 0;
};

}  // namespace

Pattern::Pattern(const TextPattern& pattern, const std::string& where) {
  if (pattern.is_regex) {
    regex_.emplace(pattern.text, where);
  } else if (pattern.text.empty()) {
    throw IoError(where + ": a pattern is an empty string; one to find would be right");
  } else {
    literal_ = pattern.text;
  }
}

void Pattern::for_each_span(std::string_view text, const SpanSink& sink) const {
  Spans spans(sink);
  if (regex_) {
    Regex::Matcher matcher(*regex_);
    matcher.set_text(text);
    while (const auto match = matcher.next()) spans.add(match->begin, match->end);
  } else {
    for (std::size_t at = text.find(literal_); at != text.npos;
         at = text.find(literal_, at + literal_.size())) {
      spans.add(at, at + literal_.size());
    }
  }
  spans.finish(text.size());
}

}  // namespace varve
