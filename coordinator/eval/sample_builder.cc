#include "coordinator/eval/sample_builder.h"

#include <algorithm>

#include "common/error.h"

namespace varve {

std::size_t BuiltSample::positions() const {
  std::size_t most = 0;
  for (const EvalQuestion& q : questions) most = std::max(most, rows_of(q));
  return document.size() + most;
}

SampleBuilder::SampleBuilder(const Tokenizer& tokenizer, const PromptTemplate& chat,
                             std::string system, const SourceText& source, std::uint64_t seed)
    : tokenizer_(tokenizer),
      chat_(chat),
      system_(std::move(system)),
      source_(source),
      seed_(seed) {}

std::vector<TokenId> SampleBuilder::prefix(std::string_view document) const {
  return tokenizer_.encode(render_document_prompt(chat_, system_, document, "").prefix);
}

// Lead and expected text are encoded as one, as a model would have written them: what counts as
// expected begins with the first token that the lead alone does not have.
EvalQuestion SampleBuilder::tokenized(const TaskQuestion& question, const TaskSpec& spec) const {
  const EncodeOptions options{.add_bos = {}, .continues = true};
  std::vector<Piece> pieces = render_document_prompt(chat_, system_, "", question.text).suffix;
  pieces.push_back({question.lead, false});
  EvalQuestion out;
  out.tokens = tokenizer_.encode(pieces, options);
  out.probe = tokenizer_.encode(
      fmt::format("\n\n{}", question.lead.empty() ? question.text : question.lead), options);
  if (out.probe.size() > kMostProbe)
    out.probe.erase(out.probe.begin(), out.probe.end() - kMostProbe);
  if (spec.measure == Measure::kExactMatch) {
    out.max_tokens = spec.most_tokens;
    return out;
  }
  pieces.back().text += question.expected;
  const std::vector<TokenId> whole = tokenizer_.encode(pieces, options);
  const auto split =
      std::mismatch(whole.begin(), whole.end(), out.tokens.begin(), out.tokens.end());
  out.tokens.assign(whole.begin(), split.first);
  out.scored.assign(split.first, whole.end());
  VARVE_CHECK(!out.scored.empty(), "nothing is left of '{}'", question.expected);
  return out;
}

SampleBuilder::Asked SampleBuilder::ask(const TaskChoice& task, std::uint32_t length,
                                        std::uint64_t sample) const {
  const TaskSpec& spec = find_eval_task(task.name);
  const std::uint64_t cell = mixed_seed(seed_, task_label(spec, task.params), length);
  TaskSample made = spec.make({.source = source_,
                               .first = first_sentence(source_, cell, sample),
                               .tokens = length,
                               .params = task.params,
                               .random = Random(mixed_seed(cell, "sample", sample))});
  Asked asked;
  std::size_t most = 0;
  for (const TaskQuestion& question : made.questions) {
    asked.questions.push_back(tokenized(question, spec));
    most = std::max(most, rows_of(asked.questions.back()));
  }
  if (most >= length) {
    throw ConfigError(fmt::format("{} tokens are too few for {}: its question and answer take {}",
                                  length, task.name, most));
  }
  asked.texts = std::move(made.questions);
  asked.facts = std::move(made.facts);
  asked.room = length - most;
  return asked;
}

BuiltSample SampleBuilder::build(const TaskChoice& task, std::uint32_t length,
                                 std::uint64_t sample) const {
  Asked asked = ask(task, length, sample);
  const TaskSpec& spec = find_eval_task(task.name);
  const std::uint64_t cell = mixed_seed(seed_, task_label(spec, task.params), length);
  BuiltSample built;
  built.text = cut_document(
      source_, first_sentence(source_, cell, sample), asked.facts, asked.room,
      [this](std::string_view document) { return prefix(document).size(); },
      Random(mixed_seed(cell, "document", sample)));
  built.document = prefix(built.text);
  built.questions = std::move(asked.questions);
  built.texts = std::move(asked.texts);
  return built;
}

}  // namespace varve
