#include "common/policy/presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace varve {
namespace {

TEST(Presets, AreAllThatArePromised) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) names.push_back(p.policy.preset);
  EXPECT_THAT(names,
              testing::ElementsAre("full", "streaming_llm", "h2o", "tova", "snapkv", "pyramidkv",
                                   "adakv", "knorm", "keydiff", "expected_attention", "zigzagkv",
                                   "scope_slide", "scope_adaptive", "scope_discontinuous", "scope",
                                   "kivi4", "kivi2", "guided"));
  EXPECT_EQ(find_preset("snap"), nullptr);
}

TEST(Presets, SayWhatTheyDoAndWhenMemoryFalls) {
  for (const Preset& p : presets()) {
    EXPECT_FALSE(p.summary.empty()) << p.policy.preset;
    EXPECT_FALSE(p.memory.empty()) << p.policy.preset;
    EXPECT_EQ(p.policy.budget, Budget{}) << p.policy.preset;
    // While the document is read exactly where compactions come with its chunks.
    EXPECT_EQ(p.memory.starts_with("while the document is read"),
              p.policy.compaction.name == "per_chunk")
        << p.policy.preset;
  }
}

TEST(Presets, ScopeIsItsDiscontinuousForm) {
  PolicyConfig policy = find_preset("scope")->policy;
  policy.preset = "scope_discontinuous";
  EXPECT_EQ(policy, find_preset("scope_discontinuous")->policy);
}

}  // namespace
}  // namespace varve
