#include "common/text/pre_tokenizer.h"

#include "common/error.h"
#include "common/text/unicode_versions.h"

namespace varve {
namespace {

// As published with GPT-2 (https://github.com/openai/gpt-2, encoder.py).
constexpr std::string_view kGpt2Pattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Joins adjacent spans into pieces as a SplitBehavior says.
class Joiner {
 public:
  Joiner(SplitBehavior behavior, std::string_view text, const PreTokenizer::WordSink& sink)
      : behavior_(behavior), text_(text), sink_(sink) {}

  void add(std::size_t begin, std::size_t end, bool matches) {
    if (behavior_ == SplitBehavior::kRemoved && matches) {
      flush();
    } else if (pending_ && joins(matches)) {
      end_ = end;
    } else {
      flush();
      pending_ = true;
      begin_ = begin;
      end_ = end;
    }
    last_matches_ = matches;
  }

  void flush() {
    if (pending_ && begin_ < end_) sink_(text_.substr(begin_, end_ - begin_));
    pending_ = false;
  }

 private:
  bool joins(bool matches) const {
    switch (behavior_) {
      case SplitBehavior::kContiguous:
        return matches == last_matches_;
      case SplitBehavior::kMergedWithPrevious:
        return matches && !last_matches_;
      case SplitBehavior::kMergedWithNext:
        return !matches && last_matches_;
      case SplitBehavior::kRemoved:
      case SplitBehavior::kIsolated:
        break;
    }
    return false;
  }

  SplitBehavior behavior_;
  std::string_view text_;
  const PreTokenizer::WordSink& sink_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool pending_ = false;
  bool last_matches_ = false;
};

bool in_front(MetaspaceStep::Prepend prepend, const TextPlace& place) {
  if (place.continues || prepend == MetaspaceStep::Prepend::kNever) return false;
  return prepend == MetaspaceStep::Prepend::kAlways || place.first;
}

std::string replace_spaces(std::string_view text, std::string_view with) {
  std::string out;
  for (const char c : text) {
    if (c == ' ') {
      out += with;
    } else {
      out += c;
    }
  }
  return out;
}

TextPattern numbers(bool individual) {
  return {fmt::format(R"([\p{{N}}{}]{})", kNumbersOfUnicode17, individual ? "" : "+"), true};
}

}  // namespace

PreTokenizer::Stage PreTokenizer::stage_of(const PreTokenizerStep& step, const std::string& where) {
  Stage stage;
  if (const auto* split = std::get_if<SplitStep>(&step)) {
    stage.pattern.emplace_back(split->pattern, where);
    stage.behavior = split->behavior;
    stage.invert = split->invert;
  } else if (const auto* digits = std::get_if<DigitsStep>(&step)) {
    stage.pattern.emplace_back(numbers(digits->individual), where);
  } else if (const auto* bytes = std::get_if<ByteLevelStep>(&step)) {
    if (bytes->add_prefix_space) stage.prefix.push_back(' ');
    stage.prepend = MetaspaceStep::Prepend::kAlways;
    if (bytes->use_regex) {
      stage.pattern.emplace_back(TextPattern{std::string(kGpt2Pattern), true}, where);
    }
  } else {
    const auto& metaspace = std::get<MetaspaceStep>(step);
    stage.prefix = stage.space_becomes = metaspace.replacement;
    stage.prepend = metaspace.prepend;
    stage.behavior = SplitBehavior::kMergedWithNext;
    if (metaspace.split)
      stage.pattern.emplace_back(TextPattern{metaspace.replacement, false}, where);
  }
  return stage;
}

PreTokenizer::PreTokenizer(const std::vector<PreTokenizerStep>& steps, const std::string& where) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (std::holds_alternative<ByteLevelStep>(steps[i]) && i + 1 < steps.size()) {
      throw IoError(where + ": steps follow ByteLevel; as the last step it would be right");
    }
    stages_.push_back(stage_of(steps[i], where));
  }
}

void PreTokenizer::split(std::string_view text, const TextPlace& place,
                         const WordSink& sink) const {
  run(0, text, place, sink);
}

void PreTokenizer::run(std::size_t index, std::string_view text, const TextPlace& place,
                       const WordSink& sink) const {
  if (text.empty()) return;
  if (index == stages_.size()) return sink(text);
  const Stage& stage = stages_[index];
  std::string changed;
  if (!stage.space_becomes.empty()) text = changed = replace_spaces(text, stage.space_becomes);
  if (!stage.prefix.empty() && !text.starts_with(stage.prefix) && in_front(stage.prepend, place)) {
    std::string prefixed = stage.prefix;
    text = changed = prefixed.append(text);
  }
  TextPlace next = place;
  split_at_matches(stage, text, [&](std::string_view piece) {
    run(index + 1, piece, next, sink);
    next = {false, false};
  });
}

void PreTokenizer::split_at_matches(const Stage& stage, std::string_view text,
                                    const WordSink& sink) const {
  if (stage.pattern.empty()) return sink(text);
  Joiner joiner(stage.behavior, text, sink);
  stage.pattern.front().for_each_span(text, [&](std::size_t begin, std::size_t end, bool matches) {
    joiner.add(begin, end, matches != stage.invert);
  });
  joiner.flush();
}

}  // namespace varve
