#include "coordinator/eval/held_bytes.h"

#include "common/plan/cache_plan.h"

namespace varve {

std::vector<OwnRows> own_rows(std::span<const EvalQuestion> questions) {
  std::vector<OwnRows> rows;
  for (const EvalQuestion& q : questions) {
    const std::size_t prompt = q.scored.empty() ? q.tokens.size() : rows_of(q);
    rows.push_back({prompt, rows_of(q) - prompt});
  }
  return rows;
}

HeldBytes held_bytes(const PolicyConfig& policy, const ModelConfig& model, DType kv_dtype,
                     std::size_t chunk, std::size_t document_rows,
                     std::span<const EvalQuestion> questions) {
  JobShape job;
  job.prefix_rows = document_rows;
  job.questions = own_rows(questions);
  job.chunk = chunk;
  job.kv_dtype = kv_dtype;
  job.policy = policy;
  if (policy.scorer.name == "guided") {
    for (const EvalQuestion& q : questions) {
      job.probes.push_back(static_cast<std::uint32_t>(q.probe.size()));
    }
  }
  const CachePlan plan(model, job);
  const LayerRange all{0, model.layers};
  return {plan.peak(all), plan.kept(all), plan.budget()};
}

}  // namespace varve
