// "Variable BDF is 48213. Variable KLM is equal to variable BDF." and a question for the last one:
// every hop has to be found. After RULER's task of that name (arXiv 2404.06654), which asks for all
// names of one number instead.
#include <fmt/format.h>

#include <set>

#include "coordinator/eval/task.h"

namespace varve {
namespace {

// Three consonants make no word.
std::vector<std::string> different_names(std::size_t count, Random& random) {
  constexpr std::string_view kLetters = "BCDFGHJKLMNPQRSTVWXZ";
  std::vector<std::string> all;
  std::set<std::string> seen;
  while (all.size() < count) {
    std::string name;
    for (int i = 0; i < 3; ++i) name += kLetters[random.below(kLetters.size())];
    if (seen.insert(name).second) all.push_back(std::move(name));
  }
  return all;
}

}  // namespace

TaskSample make_variable_tracking(TaskInput input) {
  const auto hops = static_cast<std::size_t>(input.params[0]);
  const std::vector<std::string> variables = different_names(hops + 1, input.random);
  const std::string number = different_numbers(1, input.random).front();
  TaskSample sample;
  for (std::size_t i = 0; i <= hops; ++i) {
    // In the order of assignment, one in each of equal parts of the document.
    const double depth =
        (static_cast<double>(i) + input.random.share()) / static_cast<double>(hops + 1);
    sample.facts.push_back({depth, i == 0 ? fmt::format("Variable {} is {}.", variables[0], number)
                                          : fmt::format("Variable {} is equal to variable {}.",
                                                        variables[i], variables[i - 1])});
  }
  const std::string& last = variables.back();
  sample.questions = {
      {fmt::format("What number is variable {}? Answer with the number alone.", last),
       fmt::format("Variable {} is", last), number}};
  return sample;
}

}  // namespace varve
