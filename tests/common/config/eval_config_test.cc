#include "common/config/eval_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "tests/common/config/support.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::array kKeys = {ParamSpec{"keys", 4, 2, 32, true, {}, "how many"},
                              ParamSpec{"given", 8, 1, 9, true, {}, "of them"}};
constexpr std::array kTasks = {ComponentSpec{"pass_key", "one"},
                               ComponentSpec{"multi_key", "several", kKeys}};

constexpr std::string_view kMinimal =
    "model: m.gguf\ntext: t.txt\ntasks: [pass_key]\nlengths: [4k]\n";

EvalConfig read(const std::string& text) {
  Problems problems;
  EvalConfig config = read_eval_text("here/my_eval.yaml", text, {{}, false}, kTasks, problems);
  EXPECT_EQ(joined(problems), "");
  return config;
}

std::string problems_of(const std::string& text, std::vector<std::string> overrides = {}) {
  Problems problems;
  read_eval_text("e.yaml", text, {std::move(overrides), false}, kTasks, problems);
  return joined(problems);
}

/// Of a configuration with these policies and what follows them, from line 5 on.
std::string policy_problems(const std::string& more) {
  return problems_of(std::string(kMinimal) + more);
}

TEST(EvalConfig, Defaults) {
  const EvalConfig config = read(std::string(kMinimal) + "policies: [full]\n");
  EXPECT_EQ(config.name, "my_eval");
  EXPECT_EQ(config.model, "here/m.gguf");
  EXPECT_EQ(config.text, "here/t.txt");
  EXPECT_THAT(config.tasks, ElementsAre(EvalTaskConfig{"pass_key", {}}));
  EXPECT_THAT(config.lengths, ElementsAre(4096U));
  EXPECT_THAT(config.policies, ElementsAre(PolicyConfig{}));
  EXPECT_EQ(config.samples, 40U);
  EXPECT_EQ(config.seed, 1U);
  EXPECT_EQ(config.chat.chat_template, ChatTemplate::kAuto);
  EXPECT_EQ(config.chunk, 512U);
  EXPECT_EQ(config.parallel, 4U);
  EXPECT_EQ(config.kv_dtype, DType::kF16);
  EXPECT_EQ(config.output_dir, "here/out");
}

TEST(EvalConfig, EveryKey) {
  const EvalConfig config = read(R"(
name: all
model: {path: /m}
text: /t
tasks:
  - pass_key
  - {multi_key: {keys: 8}}
  - multi_key
lengths: [4k, 1000, 1M]
policies:
  - full
  - snapkv
  - {preset: snapkv, scorer: {window: 16}}
  - kivi4
budgets: [50%, 100]
samples: 3
seed: 18446744073709551615
chat: {template: raw, system: Be brief.}
prefill: {chunk: 64}
decode: {parallel: 8}
cache: {dtype: f32}
output: {dir: /o}
)");
  EXPECT_EQ(config.name, "all");
  EXPECT_EQ(config.model, "/m");
  EXPECT_THAT(config.tasks,
              ElementsAre(EvalTaskConfig{"pass_key", {}}, EvalTaskConfig{"multi_key", {8, 8}},
                          EvalTaskConfig{"multi_key", {4, 8}}));
  EXPECT_THAT(config.lengths, ElementsAre(4096U, 1000U, 1048576U));
  std::vector<std::string> policies;
  for (const PolicyConfig& p : config.policies) {
    policies.push_back(p.preset + " " + to_string(p.budget));
  }
  // A policy that keeps every row has no use for a budget.
  EXPECT_THAT(policies, ElementsAre("full all", "snapkv 50%", "snapkv 100", "snapkv 50%",
                                    "snapkv 100", "kivi4 all"));
  EXPECT_EQ(config.policies[3].scorer.count("window"), 16U);
  EXPECT_EQ(config.samples, 3U);
  EXPECT_EQ(config.seed, 18446744073709551615U);
  EXPECT_EQ(config.chat.chat_template, ChatTemplate::kRaw);
  EXPECT_EQ(config.chat.system, "Be brief.");
  EXPECT_EQ(config.chunk, 64U);
  EXPECT_EQ(config.parallel, 8U);
  EXPECT_EQ(config.kv_dtype, DType::kF32);
  EXPECT_EQ(config.output_dir, "/o");
}

TEST(EvalConfig, WhatIsMissing) {
  EXPECT_EQ(problems_of("seed: 1"),
            "e.yaml:1:1: model: is required\n"
            "e.yaml:1:1: text: is required\n"
            "e.yaml:1:1: tasks: is required\n"
            "e.yaml:1:1: lengths: is required\n"
            "e.yaml:1:1: policies: is required");
  EXPECT_EQ(problems_of("model: m\ntext: t\ntasks: []\nlengths: []\npolicies: []"),
            "e.yaml:3:1: tasks: must name at least one task\n"
            "e.yaml:4:1: lengths: must name at least one length\n"
            "e.yaml:5:1: policies: must name at least one policy");
}

TEST(EvalConfig, TasksThatAreWrong) {
  const auto tasks = [](const std::string& list) {
    return problems_of("model: m\ntext: t\nlengths: [4k]\npolicies: [full]\ntasks: " + list);
  };
  EXPECT_THAT(tasks("[pas_key]"),
              HasSubstr("e.yaml:5:9: tasks.0: unknown value 'pas_key'; did you mean 'pass_key'?"));
  EXPECT_THAT(tasks("[{multikey: {keys: 4}}]"),
              HasSubstr("tasks.0.multikey: unknown task; did you mean 'multi_key'?"));
  EXPECT_THAT(tasks("[{multi_key: {keys: 33}}]"),
              HasSubstr("tasks.0.multi_key.keys: must be between 2 and 32, is 33"));
  EXPECT_THAT(tasks("[{multi_key: {key: 3}}]"), HasSubstr("tasks.0.multi_key: unknown key 'key'"));
  EXPECT_THAT(tasks("[{pass_key: {}, multi_key: {}}]"), HasSubstr("tasks.0: must be a task"));
  EXPECT_THAT(tasks("[pass_key, pass_key]"), HasSubstr("tasks.1: the task stands there twice"));
  EXPECT_THAT(tasks("pass_key"), HasSubstr("tasks: must be a list"));
}

TEST(EvalConfig, LengthsThatAreWrong) {
  EXPECT_THAT(problems_of("model: m\ntext: t\ntasks: [pass_key]\npolicies: [full]\n"
                          "lengths: [4kb, 63, 17M, 4k, 4096]"),
              testing::AllOf(
                  HasSubstr("lengths.0: must be a number of tokens between 64 and 16777216, which "
                            "may be written 4k (4096) or 1M, is '4kb'"),
                  HasSubstr("lengths.1: must be a number of tokens"), HasSubstr("is '63'"),
                  HasSubstr("is '17M'"), HasSubstr("lengths.4: the length stands there twice")));
}

TEST(ParseLength, EdgesOfItsRange) {
  EXPECT_EQ(parse_length("64"), 64U);
  EXPECT_EQ(parse_length("16M"), 1U << 24U);
  EXPECT_EQ(parse_length("32K"), 32768U);
  for (const char* wrong : {"", "k", "-4k", "4.5k", "99999999999999999999", "18014398509481984k"}) {
    EXPECT_THROW(parse_length(wrong), ConfigError) << wrong;
  }
}

TEST(EvalConfig, PoliciesThatAreWrong) {
  EXPECT_THAT(policy_problems("policies: [full, snapvk]\nbudgets: [20%]"),
              HasSubstr("e.yaml:5:18: policies.1: unknown value 'snapvk'; did you mean 'snapkv'?"));
  EXPECT_THAT(policy_problems("policies: [full, snapkv]"),
              HasSubstr("e.yaml:5:18: budgets: of policy snapkv: is required"));
  EXPECT_THAT(policy_problems("policies: [snapkv]\nbudgets: [16]"),
              HasSubstr("e.yaml:6:1: budgets: of policy snapkv: 16 rows must be more than"));
  EXPECT_THAT(policy_problems("policies: [snapkv]\nbudgets: [120%]"),
              HasSubstr("budgets.0: must be more than 0% and at most 100%"));
  EXPECT_THAT(policy_problems("policies: [snapkv]\nbudgets: [20%, 20%]"),
              HasSubstr("budgets.1: the budget stands there twice"));
  EXPECT_THAT(policy_problems("policies: [full, full]"),
              HasSubstr("policies.1: the policy stands there twice"));
  EXPECT_THAT(policy_problems("policies:\n  - {preset: snapkv, compaction: never}\nbudgets: [20%]"),
              HasSubstr("e.yaml:6:5: policies.0.compaction: scorer window is never asked"));
}

TEST(EvalConfig, ValuesOutOfRange) {
  const std::string all = policy_problems(
      "policies: [full]\nsamples: 0\nprefill: {chunk: 0}\ndecode: {parallel: 65}\n"
      "cache: {dtype: q8}\noutput: {dri: x}\nname: \"\"\nchat: {template: jinja}");
  EXPECT_THAT(all, HasSubstr("samples: must be between 1 and 100000, is 0"));
  EXPECT_THAT(all, HasSubstr("prefill.chunk: must be between 1 and 65536, is 0"));
  EXPECT_THAT(all, HasSubstr("decode.parallel: must be between 1 and 64, is 65"));
  EXPECT_THAT(all, HasSubstr("cache.dtype: unknown value 'q8'"));
  EXPECT_THAT(all, HasSubstr("output: unknown key 'dri'; did you mean 'dir'?"));
  EXPECT_THAT(all, HasSubstr("name: must not be empty"));
  EXPECT_THAT(all, HasSubstr("chat.template: unknown value 'jinja'"));
}

TEST(EvalConfig, OverridesAndMissingFiles) {
  const TemporaryFolder folder;
  const auto file = folder.write("e.yaml", std::string(kMinimal) + "policies: [full]\n");
  Problems problems;
  const EvalConfig config = read_eval(file, {{"samples=2"}, true}, kTasks, problems);
  EXPECT_EQ(config.samples, 2U);
  EXPECT_THAT(joined(problems), HasSubstr("model: "));
  EXPECT_THAT(joined(problems), HasSubstr("t.txt: no such file"));
}

TEST(EvalConfig, IsToldFromAJob) {
  const TemporaryFolder folder;
  EXPECT_TRUE(is_eval_file(folder.write("e.yaml", kMinimal)));
  EXPECT_FALSE(is_eval_file(folder.write("j.yaml", minimal_job())));
  EXPECT_FALSE(is_eval_file(folder.write("broken.yaml", "tasks: [")));
  EXPECT_FALSE(is_eval_file(folder.path() / "none.yaml"));
}

TEST(EvalConfig, AJobIsToldFromIt) {
  const TemporaryFolder folder;
  EXPECT_TRUE(is_job_file(folder.write("j.yaml", minimal_job())));
  EXPECT_TRUE(is_job_file(folder.write("half.yaml", "questions: [What]\n")));
  EXPECT_FALSE(is_job_file(folder.write("e.yaml", kMinimal)));
  EXPECT_FALSE(is_job_file(folder.write("both.yaml", "document: d.txt\ntasks: [pass_key]\n")));
  EXPECT_FALSE(is_job_file(folder.write("neither.yaml", "model: m.gguf\n")));
  EXPECT_FALSE(is_job_file(folder.path() / "none.yaml"));
}

TEST(EvalConfig, ToJson) {
  const EvalConfig config = read(std::string(kMinimal) + "policies: [full]\n");
  const auto json = nlohmann::json::parse(to_json(config, kTasks));
  EXPECT_EQ(json["tasks"][0].dump(), R"({"pass_key":{}})");
  EXPECT_EQ(json["lengths"][0], 4096);
  EXPECT_EQ(json["policies"][0]["preset"], "full");
  EXPECT_EQ(json["cache"]["dtype"], "f16");
}

}  // namespace
}  // namespace varve
