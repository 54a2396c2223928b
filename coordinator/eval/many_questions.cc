// Several pass keys in a document, each asked for: whatever a policy keeps has to serve all
// questions.
#include "coordinator/eval/task.h"

namespace varve {

TaskSample make_many_questions(TaskInput input) {
  TaskSample sample;
  for (const PassKey& key : pass_keys(static_cast<std::size_t>(input.params[0]), input.random)) {
    sample.facts.push_back(key.fact);
    sample.questions.push_back(key.question);
  }
  return sample;
}

}  // namespace varve
