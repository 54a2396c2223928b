// Several pass keys in a document, and a question for one: the others distract.
#include "coordinator/eval/task.h"

namespace varve {

TaskSample make_multi_key(TaskInput input) {
  const std::vector<PassKey> keys =
      pass_keys(static_cast<std::size_t>(input.params[0]), input.random);
  TaskSample sample;
  for (const PassKey& key : keys) sample.facts.push_back(key.fact);
  sample.questions = {keys[input.random.below(keys.size())].question};
  return sample;
}

}  // namespace varve
