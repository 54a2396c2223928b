#include "common/policy/policy_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/policy/presets.h"
#include "common/wire/archive.h"

namespace varve {
namespace {

PolicyConfig preset(std::string_view name) {
  return find_preset(name)->policy;
}

TEST(PolicyConfig, CrossesTheWire) {
  for (const Preset& p : presets()) {
    PolicyConfig policy = p.policy;
    policy.budget = parse_budget("12.5%");
    EXPECT_EQ(from_bytes<PolicyConfig>(to_bytes(policy), "policy"), policy);
  }
}

TEST(PolicyConfig, DescribesItself) {
  PolicyConfig policy = preset("h2o");
  policy.budget = parse_budget("64MiB");
  EXPECT_EQ(describe(policy),
            "scorer: accumulated {normalise=no}; allocation: uniform; compaction: after_document; "
            "decode: one_pool; storage: float; budget: 64 MiB; keep: first 0, last 50%; positions: "
            "original");
}

TEST(PolicyConfig, HashTellsPoliciesApartAndNotTheirNames) {
  std::set<std::uint64_t> hashes;
  for (const Preset& p : presets()) hashes.insert(hash_of(p.policy));
  EXPECT_EQ(hashes.size(), presets().size() - 1);  // scope and scope_discontinuous are one
  PolicyConfig policy = preset("snapkv");
  const std::uint64_t before = hash_of(policy);
  policy.preset = "mine";
  EXPECT_EQ(hash_of(policy), before);
  policy.scorer.set("window", 33);
  EXPECT_NE(hash_of(policy), before);
}

TEST(PolicyConfig, SlotsAreItsComponents) {
  PolicyConfig policy;
  for (const Slot slot : slots()) {
    policy.slot(slot) = make_component(components(slot).back().name);
  }
  EXPECT_EQ(policy.scorer.name, "guided");
  EXPECT_EQ(policy.allocation.name, "per_head");
  EXPECT_EQ(policy.compaction.name, "per_chunk");
  EXPECT_EQ(policy.decode.name, "one_pool");
  EXPECT_EQ(policy.storage.name, "int2");
}

TEST(PolicyConfig, SaysWhatItDrops) {
  EXPECT_TRUE(is_full(preset("full")));
  EXPECT_FALSE(drops_document_rows(preset("full")));
  EXPECT_FALSE(is_full(preset("kivi4")));
  EXPECT_FALSE(drops_document_rows(preset("kivi4")));
  EXPECT_TRUE(drops_document_rows(preset("snapkv")));
  PolicyConfig answers = preset("full");
  answers.decode = make_component("slide");
  EXPECT_FALSE(is_full(answers));
}

TEST(PolicyConfig, StorageHasATypeAndATail) {
  EXPECT_EQ(storage_dtype(preset("full")), std::nullopt);
  EXPECT_EQ(storage_tail(preset("full")), 0U);
  EXPECT_EQ(storage_dtype(preset("kivi4")), DType::kInt4);
  EXPECT_EQ(storage_dtype(preset("kivi2")), DType::kInt2);
  EXPECT_EQ(storage_tail(preset("kivi2")), 128U);
}

void expect_protected(const PolicyConfig& policy, std::size_t budget, std::size_t first,
                      std::size_t last) {
  const Protected kept = protected_rows(policy, budget);
  EXPECT_EQ(kept.first, first);
  EXPECT_EQ(kept.last, last);
}

TEST(ProtectedRows, AreSinksTheEndAndTheWindow) {
  expect_protected(preset("h2o"), 101, 0, 50);
  expect_protected(preset("guided"), 580, 4, 64);
  expect_protected(preset("guided"), 10, 4, 6);
  expect_protected(preset("guided"), 3, 3, 0);
  expect_protected(preset("snapkv"), 100, 0, 32);
  expect_protected(preset("tova"), 100, 0, 1);
  PolicyConfig policy = preset("snapkv");
  policy.keep_last = parse_budget("50%");
  expect_protected(policy, 100, 0, 50);
  expect_protected(policy, 40, 0, 32);
  policy.compaction = make_component("after_question");
  expect_protected(policy, 40, 0, 20);
}

TEST(ObservedNeeds, AreTheScorers) {
  EXPECT_EQ(document_needs(preset("snapkv")), (ObservedNeeds{32, false, false}));
  EXPECT_EQ(document_needs(preset("h2o")), (ObservedNeeds{0, true, false}));
  EXPECT_EQ(document_needs(preset("expected_attention")), (ObservedNeeds{0, false, true}));
  EXPECT_FALSE(document_needs(preset("knorm")).any());
  EXPECT_FALSE(document_needs(preset("kivi4")).any());
  EXPECT_FALSE(answer_needs(preset("snapkv")).any());
  EXPECT_EQ(answer_needs(preset("scope")), (ObservedNeeds{1, false, false}));
  EXPECT_EQ(answer_needs(preset("h2o")), (ObservedNeeds{0, true, false}));
}

TEST(ObservedBytes, AddUp) {
  ModelConfig model;
  model.kv_heads = 3;
  model.q_heads = 9;
  model.head_dim = 64;
  EXPECT_EQ(observed_bytes(model, {}, 100), 0U);
  EXPECT_EQ(observed_bytes(model, {5, false, false}, 100), 5U * (9 * 64 * 4 + 9 * 4 + 4));
  EXPECT_EQ(observed_bytes(model, {0, true, false}, 100), 3U * 100 * 4);
  EXPECT_EQ(observed_bytes(model, {0, false, true}, 100), 9U * 8 * (64 + 64 * 64));
  EXPECT_EQ(observed_bytes(model, {5, true, true}, 100),
            5U * (9 * 64 * 4 + 9 * 4 + 4) + 3 * 100 * 4 + 9 * 8 * (64 + 64 * 64));
}

}  // namespace
}  // namespace varve
