// Samples of tasks as token ids.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/text/chat_template.h"
#include "common/text/tokenizer.h"
#include "coordinator/eval/eval_source.h"
#include "coordinator/eval/task.h"

namespace varve {

/// A task with its parameters.
struct TaskChoice {
  std::string name;
  std::vector<double> params;
};

/// Tokens of a probe, at most: the last ones of longer texts.
inline constexpr std::ptrdiff_t kMostProbe = 64;

struct BuiltSample {
  std::vector<std::int32_t> document;   // and what stands before it
  std::vector<EvalQuestion> questions;  // what comes after, as the model reads it
  std::vector<TaskQuestion> texts;      // of each
  std::string text;                     // of the document

  /// Of the whole prompt with its answer, for the longest question.
  std::size_t positions() const;
};

class SampleBuilder {
 public:
  /// All references must outlive this. An empty `system` is the template's.
  SampleBuilder(const Tokenizer& tokenizer, const PromptTemplate& chat, std::string system,
                const SourceText& source, std::uint64_t seed);

  /// Sample number `sample` of a task, the same whatever else is built: at most `length` positions
  /// with what is asked and answered. ConfigError if the text or the length cannot give it.
  BuiltSample build(const TaskChoice& task, std::uint32_t length, std::uint64_t sample) const;

  /// What is asked of that sample alone, which is known long before its document is cut.
  struct Asked {
    std::vector<EvalQuestion> questions;
    std::vector<TaskQuestion> texts;  // of each
    std::vector<Fact> facts;
    std::size_t room = 0;  // tokens that are left for the document, at most
  };
  Asked ask(const TaskChoice& task, std::uint32_t length, std::uint64_t sample) const;

 private:
  EvalQuestion tokenized(const TaskQuestion& question, const TaskSpec& spec) const;
  std::vector<TokenId> prefix(std::string_view document) const;

  const Tokenizer& tokenizer_;
  const PromptTemplate& chat_;
  std::string system_;
  const SourceText& source_;
  std::uint64_t seed_;
};

}  // namespace varve
