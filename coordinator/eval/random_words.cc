// Words in no order that stand in the document. Nothing but the cache can tell how they go on, so
// their likelihood has a large gap between all of it and none.
#include "common/error.h"
#include "coordinator/eval/task.h"

namespace varve {
namespace {

std::string joined(const std::vector<std::string>& words, std::size_t begin, std::size_t end) {
  std::string text;
  for (std::size_t i = begin; i < end; ++i) {
    if (i > begin) text += ' ';
    text += words[i];
  }
  return text;
}

}  // namespace

TaskSample make_random_words(TaskInput input) {
  const auto count = static_cast<std::size_t>(input.params[0]);
  const auto given = static_cast<std::size_t>(input.params[1]);
  const std::vector<std::string>& known = input.source.words();
  if (given >= count) {
    throw ConfigError(
        fmt::format("random_words: of {} words, {} are given and none is left to be scored; let "
                    "given be less than words",
                    count, given));
  }
  if (known.size() < count) {
    throw ConfigError(fmt::format(
        "{}: has {} words of 4 to 8 letters from a to z, and random_words needs {} different ones",
        input.source.name(), known.size(), count));
  }
  std::vector<std::string> words;
  for (const std::size_t i : input.random.different(count, known.size())) words.push_back(known[i]);
  TaskSample sample;
  sample.facts = {
      {input.random.share(), fmt::format("Remember these words: {}.", joined(words, 0, count))}};
  sample.questions = {{"Which words are to be remembered? Repeat all of them in their order.",
                       fmt::format("Remember these words: {}", joined(words, 0, given)),
                       fmt::format(" {}.", joined(words, given, count))}};
  return sample;
}

}  // namespace varve
