#include "tests/worker/pipeline/policy_cases.h"

#include <algorithm>
#include <ostream>

#include "common/policy/presets.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

PolicyConfig small(PolicyConfig policy) {
  if (policy.compaction.name == "per_chunk") policy.compaction.set("rows", 40);
  if (policy.scorer.name == "window") {
    policy.scorer.set("window", std::min(policy.scorer.get("window"), 16.0));
  }
  if (policy.scorer.name == "expected_attention") policy.scorer.set("future", 24);
  for (const char* decode : {"slide", "adaptive", "discontinuous"}) {
    if (policy.decode.name != decode) continue;
    policy.decode.set("heavy", 1);
    policy.decode.set("recent", 2);
  }
  if (policy.storage.name != "float") policy.storage.set("tail", 16);
  return policy;
}

void add_guided(Budget budget, std::vector<PolicyCase>& all) {
  for (const double scope : {0.0, 2.0}) {
    PolicyConfig guided = small_preset("guided", budget);
    guided.keep_last = {Budget::Kind::kTokens, 8};
    guided.scorer.set("scope", scope);
    guided.scorer.set("kernel", 5);
    const std::string name = scope == 0 ? "guided_head" : "guided_global";
    all.push_back({name, guided});
    guided.positions = Positions::kOriginal;
    guided.scorer.set("lag", 2);
    guided.scorer.set("tokens", 1);
    all.push_back({name + "_original_lag2_sum", guided});
  }
}

}  // namespace

void PrintTo(const PolicyCase& c, std::ostream* out) {
  *out << c.name;
}

PolicyConfig small_preset(std::string_view name, Budget budget) {
  PolicyConfig policy = small(find_preset(name)->policy);
  policy.budget = budget;
  return policy;
}

std::vector<PolicyCase> policy_cases(Budget budget) {
  std::vector<PolicyCase> all;
  for (const Preset& row : presets()) {
    if (is_full(row.policy) || row.policy.scorer.name == "guided") continue;
    all.push_back({row.policy.preset, small_preset(row.policy.preset, budget)});
  }
  PolicyConfig asked = small_preset("snapkv", budget);
  asked.compaction = make_component("after_question");
  all.push_back({"snapkv_after_question", asked});
  asked.positions = Positions::kCompact;
  all.push_back({"snapkv_after_question_compact", asked});
  PolicyConfig moved = small_preset("keydiff", budget);
  moved.positions = Positions::kCompact;
  all.push_back({"keydiff_compact", moved});
  PolicyConfig streamed = small_preset("h2o", budget);
  streamed.compaction = make_component("per_chunk", {{"rows", 40}});
  all.push_back({"h2o_streamed", streamed});
  PolicyConfig few_bits = small_preset("snapkv", budget);
  few_bits.storage = make_component("int4", {{"tail", 16}});
  all.push_back({"snapkv_int4", few_bits});
  PolicyConfig pooled = small_preset("scope_slide", budget);
  pooled.positions = Positions::kCompact;
  all.push_back({"scope_compact", pooled});
  add_guided(budget, all);
  return all;
}

PipelineCase small_job(const PolicyConfig& policy, const std::filesystem::path& folder) {
  const std::filesystem::path model = folder / "tiny.gguf";
  write_tiny_model(model, policy.storage.name != "float");
  PipelineCase job;
  job.model = model.string();
  job.questions = {0, 1, 2, 5};
  job.answer_tokens = 9;
  job.policy = policy;
  if (policy.scorer.name == "guided") job.probes = {5, 1, 3};
  return job;
}

}  // namespace varve
