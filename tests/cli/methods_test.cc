// `varve methods`, and what validate and plan say of a job's cache policy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/job_folder.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Methods, ListsPoliciesAndWhatTheyAreMadeOf) {
  const Ended ended = run_varve("methods");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out, AllOf(HasSubstr("\n  full "), HasSubstr("\n  scope_discontinuous "),
                               HasSubstr("\n  guided "), HasSubstr("\nallocation\n  uniform "),
                               HasSubstr("\n    window: 32  # queries at the end")));
}

TEST(Methods, ShowSaysAllOfOne) {
  const Ended ended = run_varve("methods show scope");
  EXPECT_EQ(ended.code, 0);
  EXPECT_THAT(ended.out,
              AllOf(HasSubstr("  training        none"), HasSubstr("  memory falls    once the"),
                    HasSubstr("  published       LongGenBench-4K"), HasSubstr("  measured here   "),
                    HasSubstr("\n      decode: {discontinuous: {heavy: 256, recent: 256, literal: "
                              "no}}\n"),
                    HasSubstr("\n      keep: {first: 0, last: 8}\n")));
}

TEST(Methods, AnUnknownNameIsToldTheNearest) {
  const Ended ended = run_varve("methods show snapvk");
  EXPECT_EQ(ended.code, 2);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err, HasSubstr("varve: no policy is called 'snapvk'; did you mean 'snapkv'?; "
                                   "known: full, streaming_llm, "));
  EXPECT_EQ(run_varve("methods show").code, 2);
}

using PolicyJob = JobFolder;

TEST_F(PolicyJob, WhatShowPrintsIsReadBack) {
  for (const char* name : {"streaming_llm", "h2o", "zigzagkv", "scope", "guided"}) {
    const std::string shown = run_varve(std::string("methods show ") + name).out;
    std::string yaml = shown.substr(shown.find("  cache:\n"));
    for (std::size_t at = 0; at != yaml.npos; at = yaml.find("\n  ", at + 1)) {
      yaml.erase(at == 0 ? 0 : at + 1, 2);
    }
    write_job(yaml);
    const Ended ended = run("validate");
    EXPECT_EQ(ended.code, 0) << name << ended.err << yaml;
  }
}

TEST_F(PolicyJob, ValidateNamesSlotsAndModelAtOnce) {
  write_job("cache: {policy: {preset: kivi4, decode: one_pool}, budget: 9}");
  const Ended ended = run("validate");
  EXPECT_EQ(ended.code, 2);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("cache.budget: 9 means nothing"),
                               HasSubstr("cache.policy.decode: one_pool evicts row after row"),
                               HasSubstr("cache.policy.storage: int4 groups 32 channels")));
}

TEST_F(PolicyJob, PlanGivesTheBudgetInThreeWaysAndBothBytesOfKV) {
  write_job("cache: {policy: knorm, budget: 50%}");
  const Ended text = run("plan");
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("KV peak    KV after"), HasSubstr("policy: knorm ("),
                              HasSubstr("budget: 9 rows of the document's 18 per layer and head, "
                                        "50 %, ")));
  const auto json = nlohmann::json::parse(run("plan", "--json").out);
  EXPECT_EQ(json["policy"]["preset"], "knorm");
  EXPECT_EQ(json["policy"]["budget"]["tokens"], 9);
  EXPECT_EQ(json["policy"]["budget"]["percent"], 50.0);
  EXPECT_GT(json["policy"]["budget"]["bytes"], 0);
  EXPECT_GT(json["ranks"][0]["kv_bytes"], json["policy"]["budget"]["bytes"]);
  EXPECT_TRUE(json["ranks"][0].contains("kv_after_bytes"));
}

}  // namespace
}  // namespace varve
