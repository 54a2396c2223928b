#include <algorithm>
#include <array>

#include "common/error.h"
#include "coordinator/eval/task.h"

namespace varve {
namespace {

constexpr ParamSpec count(std::string_view name, double fallback, double least, double most,
                          std::string_view meaning) {
  return {name, fallback, least, most, true, {}, meaning};
}

constexpr std::array kMultiKey = {
    count("keys", 4, 2, kCities, "pass keys in the document, one of which is asked for"),
};
constexpr std::array kManyQuestions = {
    count("keys", 4, 2, kCities, "pass keys in the document, each of which is asked for"),
};
constexpr std::array kVariables = {
    count("hops", 1, 1, 16, "assignments from the number to the variable that is asked for"),
};
constexpr std::array kRandomWords = {
    count("words", 32, 12, 256, "in the passage"),
    count("given", 8, 4, 128, "of them, before those that are scored"),
};
constexpr std::array kVerse = {
    count("given", 5, 3, 16, "words of the sentence, before those that are scored"),
    count("words", 24, 4, 256, "that are scored, at most"),
};

constexpr Measure kMatch = Measure::kExactMatch;
constexpr std::uint32_t kShort = 12;  // tokens of an answer that begins with a number

constexpr std::array kTasks = {
    TaskSpec{{"pass_key", "one number is hidden in the text"}, kMatch, kShort, make_pass_key},
    TaskSpec{{"multi_key", "several numbers are hidden, one is asked for", kMultiKey},
             kMatch,
             kShort,
             make_multi_key},
    TaskSpec{{"many_questions", "several numbers are hidden, a question for each", kManyQuestions},
             kMatch,
             kShort,
             make_many_questions},
    TaskSpec{{"variable_tracking", "a number is passed on from variable to variable", kVariables},
             kMatch,
             kShort,
             make_variable_tracking},
    TaskSpec{{"random_words", "words in no order that occurred before", kRandomWords},
             Measure::kLikelihood,
             0,
             make_random_words},
    TaskSpec{{"repeated_verse", "a sentence that occurred before", kVerse},
             Measure::kLikelihood,
             0,
             make_repeated_verse},
};

bool in_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::span<const TaskSpec> eval_tasks() {
  return kTasks;
}

std::vector<ComponentSpec> eval_task_specs() {
  std::vector<ComponentSpec> specs;
  for (const TaskSpec& task : kTasks) specs.push_back(task.spec);
  return specs;
}

const TaskSpec& find_eval_task(std::string_view name) {
  const auto found = std::find_if(kTasks.begin(), kTasks.end(),
                                  [&](const TaskSpec& t) { return t.spec.name == name; });
  VARVE_CHECK(found != kTasks.end(), "no task '{}'", name);
  return *found;
}

std::string task_label(const TaskSpec& task, std::span<const double> params) {
  std::string text;
  for (std::size_t i = 0; i < task.spec.params.size(); ++i) {
    const ParamSpec& param = task.spec.params[i];
    if (params[i] == param.fallback) continue;
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", param.name, params[i]);
  }
  return text.empty() ? std::string(task.spec.name)
                      : fmt::format("{} {{{}}}", task.spec.name, text);
}

bool names(std::string_view answer, std::string_view expected) {
  for (std::size_t at = answer.find(expected); at != answer.npos;
       at = answer.find(expected, at + 1)) {
    const std::size_t end = at + expected.size();
    const bool begins = at == 0 || !in_word(answer[at - 1]);
    if (begins && (end == answer.size() || !in_word(answer[end]))) return true;
  }
  return false;
}

std::size_t sure_sentences(const TaskInput& input) {
  // The last tenth may be the question, facts, and whatever fills the document up.
  std::size_t room = input.tokens - input.tokens / 10;
  const auto& all = input.source.sentences();
  std::size_t count = 0;
  while (count < all.size() && all[(input.first + count) % all.size()].tokens <= room) {
    room -= all[(input.first + count) % all.size()].tokens;
    ++count;
  }
  return count;
}

}  // namespace varve
