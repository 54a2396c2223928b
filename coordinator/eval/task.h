// A task of an evaluation: what is hidden in a document, what is asked about it, and what would be
// right. Each is a file of its own and a row of task_table.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/policy/component.h"
#include "coordinator/eval/document_cut.h"
#include "coordinator/eval/random.h"
#include "coordinator/eval/source_text.h"

namespace varve {

enum class Measure : std::uint8_t {
  kExactMatch,  // an answer is generated, and must name what is expected
  kLikelihood,  // what is expected is given, and its tokens' probabilities count
};

struct TaskQuestion {
  std::string text;
  std::string lead;      // how the answer begins, which the model is given
  std::string expected;  // what follows: a word, or with kLikelihood a text
};

struct TaskSample {
  std::vector<Fact> facts;
  std::vector<TaskQuestion> questions;
};

/// What a task makes a sample of.
struct TaskInput {
  const SourceText& source;
  std::size_t first = 0;   // sentence that the document begins with
  std::size_t tokens = 0;  // of the whole prompt
  std::span<const double> params;
  Random random;
};

struct TaskSpec {
  ComponentSpec spec;  // its name, what it does, its parameters
  Measure measure = Measure::kExactMatch;
  std::uint32_t most_tokens = 0;  // of a generated answer
  TaskSample (*make)(TaskInput input) = nullptr;
};

std::span<const TaskSpec> eval_tasks();
/// Their specs alone, in the same order.
std::vector<ComponentSpec> eval_task_specs();
/// A bug if there is none of that name.
const TaskSpec& find_eval_task(std::string_view name);
/// "pass_key", "multi_key {keys=8}": parameters where they are not the usual ones.
std::string task_label(const TaskSpec& task, std::span<const double> params);

/// Whether an answer names what is expected as a word of its own.
bool names(std::string_view answer, std::string_view expected);

// --- for the tasks ---

/// Sentences that are certain to be in a document of so many tokens, from its first one.
std::size_t sure_sentences(const TaskInput& input);

/// "The pass key of Berlin is 48213." and its question.
struct PassKey {
  std::string city;
  std::string key;
  Fact fact;
  TaskQuestion question;
};
inline constexpr std::size_t kCities = 32;
/// `count` pass keys of different cities at different depths, all different.
std::vector<PassKey> pass_keys(std::size_t count, Random& random);
/// Five digits, the first of which is not 0, different from each other.
std::vector<std::string> different_numbers(std::size_t count, Random& random);

TaskSample make_pass_key(TaskInput input);
TaskSample make_multi_key(TaskInput input);
TaskSample make_many_questions(TaskInput input);
TaskSample make_variable_tracking(TaskInput input);
TaskSample make_random_words(TaskInput input);
TaskSample make_repeated_verse(TaskInput input);

}  // namespace varve
