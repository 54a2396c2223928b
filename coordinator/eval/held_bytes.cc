#include "coordinator/eval/held_bytes.h"

#include "common/plan/cache_plan.h"

namespace varve {

HeldBytes held_bytes(const PolicyConfig& policy, const ModelConfig& model, DType kv_dtype,
                     std::size_t chunk, std::size_t document_rows,
                     std::span<const EvalQuestion> questions) {
  JobShape job;
  job.prefix_rows = document_rows;
  for (const EvalQuestion& q : questions) {
    // A scored answer is read with the prompt.
    const std::size_t prompt = q.scored.empty() ? q.tokens.size() : rows_of(q);
    job.questions.push_back({prompt, rows_of(q) - prompt});
  }
  job.chunk = chunk;
  job.kv_dtype = kv_dtype;
  job.policy = policy;
  const CachePlan plan(model, job);
  const LayerRange all{0, model.layers};
  return {plan.peak(all), plan.kept(all), plan.budget()};
}

}  // namespace varve
