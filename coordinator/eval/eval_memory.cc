#include "coordinator/eval/eval_memory.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "common/plan/segment_shape.h"
#include "common/policy/allocation.h"
#include "coordinator/schedule/compaction_times.h"

namespace varve {
namespace {

bool reads_alone(const PolicyConfig& policy) {
  return compaction_times(policy).period > 0;
}

// What a document that is read whole observes: all that any of the run's policies may ask it for,
// since it does not know which ones will fork it.
ObservedNeeds shared_needs(std::span<const PolicyConfig> policies) {
  ObservedNeeds needs;
  for (const PolicyConfig& policy : policies) {
    if (!reads_alone(policy)) needs = needs | document_needs(policy);
  }
  return needs;
}

void keep_most(const std::vector<std::uint32_t>& values, std::vector<std::uint32_t>& most) {
  most.resize(std::max(most.size(), values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) most[i] = std::max(most[i], values[i]);
}

}  // namespace

EvalMemory::EvalMemory(const ModelConfig& model, const Run& run) : parallel_(run.parallel) {
  bool guided = false;
  bool turns = false;
  for (const PolicyConfig& policy : run.policies) {
    guided = guided || policy.scorer.name == "guided";
    turns =
        turns || policy.positions == Positions::kCompact || document_needs(policy).query_moments;
  }
  for (const EvalShape& shape : run.shapes) {
    if (guided) keep_most(shape.probes, probe_rows_);
    documents_.push_back(document_of(model, run, shape));
  }
  const std::size_t rows = std::accumulate(probe_rows_.begin(), probe_rows_.end(), run.chunk);
  if (turns) work_ = plain_keys_bytes(model, rows, plain_slots_, run.kv_dtype);
  for (const std::uint32_t probe : probe_rows_) work_ += segment_bytes(model, probe, run.kv_dtype);
}

EvalMemory::Document EvalMemory::document_of(const ModelConfig& model, const Run& run,
                                             const EvalShape& shape) {
  JobShape job{.prefix_rows = shape.document,
               .questions = shape.questions,
               .parallel = shape.questions.size(),
               .chunk = run.chunk,
               .in_flight = 1,
               .kv_dtype = run.kv_dtype,
               .policy = {},
               .probes = {},
               .observed = shared_needs(run.policies)};
  Document document{.shared = false, .whole = CachePlan(model, job), .branches = {}};
  for (const PolicyConfig& policy : run.policies) {
    job.policy = policy;
    job.prefix_rows = shape.document;
    job.probes = policy.scorer.name == "guided" ? shape.probes : std::vector<std::uint32_t>{};
    std::vector<CachePlan>& plans = document.branches.emplace_back();
    plans.emplace_back(model, job);
    // A stream that holds its whole document observes what others ask for, too; and another sample
    // may be a few rows shorter.
    const std::size_t budget = budget_rows(policy, shape.document, model, run.kv_dtype);
    if (reads_alone(policy) && budget < shape.document) {
      job.prefix_rows = budget;
      plans.emplace_back(model, job);
    }
    for (const CachePlan& plan : plans) plain_slots_ = std::max(plain_slots_, plan.plain_slots());
    document.shared = document.shared || !reads_alone(policy);
  }
  return document;
}

std::size_t EvalMemory::most(const Document& document, LayerRange layers) const {
  std::vector<std::size_t> branches;
  for (const std::vector<CachePlan>& plans : document.branches) {
    std::size_t& most = branches.emplace_back(0);
    for (const CachePlan& plan : plans) most = std::max(most, plan.branch(layers));
  }
  std::sort(branches.begin(), branches.end(), std::greater<>());
  branches.resize(std::min(branches.size(), parallel_));
  return std::accumulate(branches.begin(), branches.end(),
                         document.shared ? document.whole.document(layers) : 0);
}

std::size_t EvalMemory::most(LayerRange layers) const {
  std::size_t bytes = 0;
  for (const Document& document : documents_) bytes = std::max(bytes, most(document, layers));
  return work_ + bytes;
}

}  // namespace varve
