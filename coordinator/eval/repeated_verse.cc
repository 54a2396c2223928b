// A sentence of the document itself is quoted, and the likelihood of its end is measured. A model
// may know famous texts by heart: compare with what it gives without the document.
#include <set>

#include "common/error.h"
#include "coordinator/eval/task.h"

namespace varve {
namespace {

// Offset behind the first `words` words; npos if there are no more than those.
std::size_t behind_words(std::string_view text, std::size_t words) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < words; ++i) {
    if (i > 0) ++at;
    at = text.find(' ', at);
    if (at == text.npos) return at;
  }
  return at;
}

struct Choice {
  std::string_view begin;
  std::string_view rest;
};

// Sentences of one line with enough words, whose beginnings occur once.
std::vector<Choice> choices(const TaskInput& input, std::size_t given, std::size_t least,
                            std::size_t most) {
  const auto& all = input.source.sentences();
  std::vector<Choice> list;
  std::set<std::string_view> begins;
  std::set<std::string_view> twice;
  const std::size_t count = sure_sentences(input);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view text = all[(input.first + i) % all.size()].text;
    const std::size_t begin = behind_words(text, given);
    if (begin == text.npos) continue;
    if (!begins.insert(text.substr(0, begin)).second) twice.insert(text.substr(0, begin));
    const std::size_t enough = behind_words(text, given + least);
    if (enough == text.npos || text.find('\n') != text.npos) continue;
    list.push_back(
        {text.substr(0, begin), text.substr(begin, behind_words(text, given + most) - begin)});
  }
  std::erase_if(list, [&](const Choice& c) { return twice.contains(c.begin); });
  return list;
}

}  // namespace

TaskSample make_repeated_verse(TaskInput input) {
  const auto given = static_cast<std::size_t>(input.params[0]);
  const auto most = static_cast<std::size_t>(input.params[1]);
  constexpr std::size_t kLeast = 6;
  const std::vector<Choice> list = choices(input, given, std::min(kLeast, most), most);
  if (list.empty()) {
    throw ConfigError(
        fmt::format("{}: {} tokens of it hold no sentence of more than {} words in one line that "
                    "repeated_verse could quote",
                    input.source.name(), input.tokens, given + kLeast));
  }
  const Choice& verse = list[input.random.below(list.size())];
  TaskSample sample;
  sample.questions = {{fmt::format("Quote the sentence that begins with \"{}\".", verse.begin),
                       std::string(verse.begin), std::string(verse.rest)}};
  return sample;
}

}  // namespace varve
