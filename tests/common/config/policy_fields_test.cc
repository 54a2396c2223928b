#include "common/config/policy_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/policy/presets.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

PolicyConfig read(std::string_view cache, std::vector<std::string> overrides = {}) {
  Problems problems;
  const JobConfig job =
      read_job_text("job.yaml", minimal_job(cache), {std::move(overrides), false}, problems);
  EXPECT_EQ(joined(problems), "") << cache;
  return job.policy;
}

PolicyConfig preset(std::string_view name, std::string_view budget) {
  PolicyConfig policy = find_preset(name)->policy;
  if (!budget.empty()) policy.budget = parse_budget(budget);
  return policy;
}

TEST(Policy, IsAPresetAndABudget) {
  EXPECT_EQ(read("cache: {policy: snapkv, budget: 20%}"), preset("snapkv", "20%"));
  EXPECT_EQ(read("cache: {policy: snapkv, budget: 512}"), preset("snapkv", "512"));
  EXPECT_EQ(read("cache: {policy: guided, budget: 64MiB}"), preset("guided", "64MiB"));
  EXPECT_EQ(read("cache: {policy: kivi4}"), preset("kivi4", ""));
  EXPECT_EQ(read("cache: {policy: {preset: h2o}, budget: 1 GiB}"), preset("h2o", "1GiB"));
  EXPECT_EQ(read("cache: {policy: }"), PolicyConfig{});
  EXPECT_EQ(read("", {"cache.policy=knorm", "cache.budget=9%"}), preset("knorm", "9%"));
}

TEST(Policy, SaysWhatDiffersFromItsPreset) {
  const PolicyConfig policy = read(R"(cache:
  budget: 20%
  policy:
    preset: snapkv
    scorer: {window: 64, pool: max}
    allocation: uncertainty
    decode: {slide: {heavy: 0}}
    storage: {int4: {tail: 64}}
    keep: {first: 4, last: 50%}
)");
  PolicyConfig expected = preset("snapkv", "20%");
  expected.scorer = make_component("window", {{"window", 64}, {"pool", 1}});
  expected.allocation = make_component("uncertainty");
  expected.decode = make_component("slide", {{"heavy", 0}});
  expected.storage = make_component("int4", {{"tail", 64}});
  expected.keep_first = 4;
  expected.keep_last = parse_budget("50%");
  EXPECT_EQ(policy, expected);
}

TEST(Policy, ParametersAloneChangeThePresetsAndANameStartsFromDefaults) {
  const PolicyConfig alone =
      read("cache: {budget: 9, policy: {preset: tova, scorer: {pool: max}}}");
  EXPECT_EQ(alone.scorer.count("kernel"), 1U);
  const PolicyConfig named =
      read("cache: {budget: 99, policy: {preset: tova, scorer: {window: {pool: max}}}}");
  EXPECT_EQ(named.scorer.count("kernel"), 5U);
  EXPECT_EQ(named.scorer.choice("pool"), "max");
  EXPECT_EQ(read("cache: {policy: {preset: kivi4, storage: {int2: }}}").storage,
            make_component("int2"));
  EXPECT_EQ(read("cache: {policy: {preset: kivi4, storage: {int2: {}}}}").storage,
            make_component("int2"));
}

TEST(Policy, TakesPositionsAndFractions) {
  const PolicyConfig policy =
      read("cache: {budget: 99, policy: {preset: snapkv, positions: compact, keep: {last: 0}}}");
  EXPECT_EQ(policy.positions, Positions::kCompact);
  EXPECT_EQ(policy.keep_last, (Budget{Budget::Kind::kTokens, 0}));
  EXPECT_EQ(
      read("cache: {budget: 99, policy: {preset: zigzagkv, allocation: {floor: 0.35, inverse: "
           "yes}}}")
          .allocation,
      make_component("uncertainty", {{"floor", 0.35}, {"inverse", 1}}));
}

// run.json shows the policy as a job could give it.
TEST(Policy, IsReadBackFromTheJobsJson) {
  for (const Preset& p : presets()) {
    const std::string budget = drops_document_rows(p.policy) ? ", budget: 12.5%" : "";
    Problems problems;
    const JobConfig job = read_job_text(
        "job.yaml", minimal_job(fmt::format("cache: {{policy: {}{}}}", p.policy.preset, budget)),
        {{}, false}, problems);
    const auto json = nlohmann::json::parse(to_json(job));
    EXPECT_EQ(read("cache: " + json["cache"].dump()), job.policy) << json["cache"].dump();
    EXPECT_EQ(joined(problems), "");
  }
}

TEST(Policy, MayStandInAFileOfItsOwn) {
  const TemporaryFolder folder;
  folder.write("m.gguf", "");
  folder.write("d.txt", "Text.");
  folder.write("mine/p.yaml", "preset: snapkv\nscorer: {window: 8}\n");
  const auto job = folder.write("job.yaml", minimal_job("cache: {policy: mine/p.yaml, budget: 9}"));
  Problems problems;
  PolicyConfig expected = preset("snapkv", "9");
  expected.scorer.set("window", 8);
  EXPECT_EQ(read_job(job, {{}, true}, problems).policy, expected);
  EXPECT_EQ(joined(problems), "");

  folder.write("mine/p.yaml", "preset: snapkv\nscorer: {windo: 8}\n");
  read_job(job, {{}, true}, problems);
  EXPECT_EQ(joined(problems), (folder.path() / "mine/p.yaml").string() +
                                  ":2:10: scorer: unknown key 'windo'; did you mean 'window'?; "
                                  "known: window, kernel, pool, heads");
  Problems missing;
  read_job(job, {{"cache.policy=" + (folder.path() / "none.yaml").string()}, true}, missing);
  EXPECT_THAT(joined(missing), testing::HasSubstr("none.yaml"));
}

struct Refusal {
  const char* cache;
  const char* text;
};
class PolicyRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(PolicyRefuses, WithPlacePathAndWhatWouldBeRight) {
  EXPECT_EQ(job_problems(
                minimal_job(std::string("cache:\n  budget: 580\n  policy:\n") + GetParam().cache)),
            std::string("job.yaml:") + GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, PolicyRefuses,
    testing::Values(
        Refusal{"    {preset: snapvk}",
                "7:6: cache.policy.preset: unknown value 'snapvk'; did you mean 'snapkv'?; known: "
                "full, streaming_llm, h2o, tova, snapkv, pyramidkv, adakv, knorm, keydiff, "
                "expected_attention, zigzagkv, scope_slide, scope_adaptive, scope_discontinuous, "
                "scope, kivi4, kivi2, guided"},
        Refusal{"    {preset: snapkv, score: window}",
                "7:22: cache.policy: unknown key 'score'; did you mean 'scorer'?; known: preset, "
                "scorer, allocation, compaction, decode, storage, keep, positions"},
        Refusal{"    {preset: snapkv, scorer: windw}",
                "7:22: cache.policy.scorer: unknown value 'windw'; did you mean 'window'?; known: "
                "none, position, window, accumulated, key_norm, key_difference, "
                "expected_attention, guided"},
        Refusal{"    {preset: snapkv, storage: {int5: {}}}",
                "7:32: cache.policy.storage.int5: unknown storage; did you mean 'int8'?; known: "
                "float, int8, int4, int2"},
        Refusal{"    {preset: snapkv, scorer: {windw: 5}}",
                "7:31: cache.policy.scorer: unknown key 'windw'; did you mean 'window'?; known: "
                "window, kernel, pool, heads"},
        Refusal{"    {preset: knorm, scorer: {window: 5}}",
                "7:21: cache.policy.scorer: key_norm has no parameters, and 'window' is none"},
        Refusal{"    {preset: snapkv, scorer: {window: 0}}",
                "7:31: cache.policy.scorer.window: must be between 1 and 1048576, is 0"},
        Refusal{"    {preset: snapkv, scorer: {pool: mean}}",
                "7:31: cache.policy.scorer.pool: unknown value 'mean'; known: avg, max"},
        Refusal{"    {preset: zigzagkv, allocation: {floor: 2}}",
                "7:37: cache.policy.allocation.floor: must be between 0 and 1, is 2"},
        Refusal{"    {preset: snapkv, keep: {first: -1}}",
                "7:29: cache.policy.keep.first: must be between 0 and 1048576, is -1"},
        Refusal{"    {preset: snapkv, keep: {last: many}}",
                "7:29: cache.policy.keep.last: must be a number of tokens (512), a share of the "
                "document (20%) or a size (64MiB), is 'many'"},
        Refusal{"    {preset: snapkv, keep: 4}",
                "7:22: cache.policy.keep: must be a map (key: value), is 4"},
        Refusal{"    {preset: snapkv, positions: dense}",
                "7:22: cache.policy.positions: unknown value 'dense'; known: original, compact"},
        Refusal{"    [snapkv]", "6:3: cache.policy: must be a map (key: value), is a list of 1"}));

TEST(Policy, BudgetThatIsNone) {
  EXPECT_EQ(
      job_problems(minimal_job("cache: {policy: snapkv, budget: half}")),
      "job.yaml:4:25: cache.budget: must be a number of tokens (512), a share of the document "
      "(20%) or a size (64MiB), is 'half'");
}

TEST(Policy, ContradictionsComeAllAtOnceWhereTheyStand) {
  EXPECT_EQ(job_problems(minimal_job(R"(cache:
  budget: 20%
  policy:
    preset: adakv
    compaction: per_chunk
    decode: one_pool
    storage: int4
    positions: compact
)")),
            "job.yaml:6:3: cache.policy.allocation: per_head looks at the whole document, and "
            "per_chunk compacts before it is read; take uniform or pyramid\n"
            "job.yaml:9:5: cache.policy.decode: one_pool evicts row after row, which storage int4 "
            "cannot; take float\n"
            "job.yaml:9:5: cache.policy.decode: one_pool wants a number of rows that is known "
            "before: allocation uniform or pyramid, not per_head\n"
            "job.yaml:11:5: cache.policy.positions: compact positions want as many rows in every "
            "layer and head: allocation uniform, not per_head");
  EXPECT_EQ(job_problems(minimal_job("cache: {budget: 20%}")),
            "job.yaml:4:9: cache.budget: 20% means nothing where every row is kept (scorer none)");
}

// A mistake in one place would make others of what is right: contradictions wait for it.
TEST(Policy, ContradictionsWaitForMistakes) {
  EXPECT_EQ(job_problems(minimal_job("cache: {policy: {preset: snapkv, storage: int5}}")),
            "job.yaml:4:34: cache.policy.storage: unknown value 'int5'; did you mean 'int8'?; "
            "known: float, int8, int4, int2");
}

}  // namespace
}  // namespace varve
