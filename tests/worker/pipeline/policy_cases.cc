#include "tests/worker/pipeline/policy_cases.h"

#include <algorithm>
#include <ostream>
#include <stdexcept>

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
    // One chosen row is due no sooner than the last.
    policy.decode.set("heavy", policy.decode.name == "discontinuous" ? 3 : 1);
    policy.decode.set("recent", 2);
  }
  if (policy.storage.name != "float") policy.storage.set("tail", 16);
  return policy;
}

Slot slot_of(const Component& component) {
  for (const Slot slot : slots()) {
    for (const ComponentSpec& spec : components(slot)) {
      if (spec.name == component.name) return slot;
    }
  }
  throw std::invalid_argument(component.name);
}

PolicyConfig with(PolicyConfig policy, const std::vector<Component>& others) {
  for (const Component& other : others) policy.slot(slot_of(other)) = other;
  return policy;
}

PolicyConfig compact(PolicyConfig policy) {
  policy.positions = Positions::kCompact;
  return policy;
}

Component streamed() {
  return make_component("per_chunk", {{"rows", 40}});
}

Component few_bits(std::string_view name, double tail) {
  return make_component(name, {{"tail", tail}});
}

void add_moved_and_streamed(Budget budget, std::vector<PolicyCase>& all) {
  const Component pyramid = make_component("pyramid", {{"beta", 4}});
  const PolicyConfig tova = small_preset("tova", budget);
  const PolicyConfig expected = small_preset("expected_attention", budget);
  const PolicyConfig knorm = small_preset("knorm", budget);
  all.push_back({"keydiff_compact", compact(small_preset("keydiff", budget))});
  all.push_back({"scope_compact", compact(small_preset("scope_slide", budget))});
  all.push_back({"knorm_pool_compact", compact(with(knorm, {make_component("one_pool")}))});
  all.push_back({"h2o_streamed", with(small_preset("h2o", budget), {streamed()})});
  all.push_back({"tova_pyramid", with(tova, {pyramid})});
  all.push_back({"tova_pyramid_streamed", with(tova, {pyramid, streamed()})});
  all.push_back({"expected_compact", compact(expected)});
  all.push_back({"expected_streamed_compact", compact(with(expected, {streamed()}))});
}

void add_asked_and_stored(Budget budget, std::vector<PolicyCase>& all) {
  const Component asked = make_component("after_question");
  const Component slide = make_component("slide", {{"heavy", 1}, {"recent", 2}});
  const PolicyConfig snapkv = small_preset("snapkv", budget);
  const PolicyConfig zigzagkv = small_preset("zigzagkv", budget);
  const PolicyConfig kivi = small_preset("kivi4", budget);
  all.push_back({"snapkv_asked", with(snapkv, {asked})});
  all.push_back({"scope_asked", with(small_preset("scope_adaptive", budget), {asked})});
  all.push_back({"zigzagkv_asked", with(zigzagkv, {asked})});
  all.push_back({"kivi8_asked", with(kivi, {asked, few_bits("int8", 16)})});
  all.push_back({"kivi2_asked_slide", with(kivi, {asked, slide, few_bits("int2", 0)})});
  all.push_back({"snapkv_int4", with(snapkv, {few_bits("int4", 16)})});
  all.push_back({"zigzagkv_int8", with(zigzagkv, {few_bits("int8", 16)})});
  all.push_back({"adakv_int2", with(small_preset("adakv", budget), {few_bits("int2", 0)})});
}

void add_guided(Budget budget, std::vector<PolicyCase>& all) {
  for (const double scope : {0.0, 2.0}) {
    PolicyConfig guided = small_preset("guided", budget);
    guided.keep_last = {Budget::Kind::kTokens, 8};
    guided.scorer.set("scope", scope);
    guided.scorer.set("kernel", 5);
    const std::string name = scope == 0 ? "guided_head" : "guided_global";
    all.push_back({name, guided});
    if (scope != 0) {
      PolicyConfig middle = guided;
      middle.scorer.set("votes", 1);
      all.push_back({name + "_middle", middle});
    }
    guided.positions = Positions::kOriginal;
    guided.scorer.set("lag", 2);
    guided.scorer.set("tokens", 1);
    all.push_back({name + "_original_lag2_sum", guided});
    if (scope != 0) continue;
    guided.scorer.set("encode", 1);
    all.push_back({name + "_original_local_sum", guided});
    guided.scorer.set("tokens", 0);
    all.push_back({name + "_local", compact(guided)});
    PolicyConfig contrasted = compact(guided);
    contrasted.scorer.set("contrast", 1);
    all.push_back({name + "_local_contrast", contrasted});
    all.push_back({name + "_local_int4", with(compact(guided), {few_bits("int4", 16)})});
  }
  PolicyConfig stored = small_preset("guided", budget);
  stored.keep_last = {Budget::Kind::kTokens, 8};
  stored =
      with(stored, {few_bits("int4", 16), make_component("slide", {{"heavy", 2}, {"recent", 1}})});
  all.push_back({"guided_int4_slide", stored});
}

}  // namespace

void PrintTo(const PolicyCase& c, std::ostream* out) {
  *out << c.name;
}

PolicyConfig small_preset(std::string_view name, Budget budget) {
  PolicyConfig policy = small(find_preset(name)->policy);
  if (drops_document_rows(policy)) policy.budget = budget;
  return policy;
}

std::vector<PolicyCase> policy_cases(Budget budget) {
  std::vector<PolicyCase> all;
  for (const Preset& row : presets()) {
    if (is_full(row.policy) || row.policy.scorer.name == "guided") continue;
    all.push_back({row.policy.preset, small_preset(row.policy.preset, budget)});
  }
  add_moved_and_streamed(budget, all);
  add_asked_and_stored(budget, all);
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
