#include "common/policy/kept_bytes.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "common/plan/segment_shape.h"
#include "common/policy/presets.h"

namespace varve {
namespace {

ModelConfig small_model() {
  ModelConfig model;
  model.layers = 3;
  model.kv_heads = 2;
  model.q_heads = 4;
  model.head_dim = 64;
  return model;
}

std::size_t bytes_of(const std::vector<std::uint32_t>& rows, DType dtype) {
  return segment_bytes({.capacity = rows, .dtype = dtype, .shared_positions = false}, 64);
}

PolicyConfig policy_of(std::string_view storage, double tail = 0) {
  PolicyConfig policy = find_preset("snapkv")->policy;
  policy.storage = make_component(storage);
  if (storage != "float") policy.storage.set("tail", tail);
  return policy;
}

TEST(KeptBytes, OfFloatsAreOneSegment) {
  const KeptBytes bytes = kept_bytes(policy_of("float"), small_model(), 45, DType::kF16);
  EXPECT_EQ(bytes.held, 2U * 45 * (2 * 64 * 2 + 4));
  EXPECT_EQ(bytes.held, bytes_of({45, 45}, DType::kF16));
  EXPECT_EQ(bytes.making, bytes.held);
}

TEST(KeptBytes, OfFewBitsAreAFrozenPartAndATail) {
  for (const auto& [storage, dtype] :
       {std::pair("int8", DType::kInt8), {"int4", DType::kInt4}, {"int2", DType::kInt2}}) {
    const KeptBytes bytes = kept_bytes(policy_of(storage, 10), small_model(), 45, DType::kF32);
    const std::size_t frozen = bytes_of({35, 35}, dtype);
    const std::size_t tail = bytes_of({10, 10}, DType::kF32);
    EXPECT_EQ(bytes.held, frozen + tail);
    EXPECT_EQ(bytes.making, frozen + bytes_of({35, 35}, DType::kF32));
  }
}

TEST(KeptBytes, OfATailThatIsLargerThanTheRest) {
  const KeptBytes bytes = kept_bytes(policy_of("int4", 40), small_model(), 45, DType::kF16);
  EXPECT_EQ(bytes.making, bytes.held);
  const KeptBytes all = kept_bytes(policy_of("int4", 400), small_model(), 45, DType::kF16);
  EXPECT_EQ(all.held, bytes_of({45, 45}, DType::kF16));
}

TEST(KeptBytes, MostIsABoundOfEverySplit) {
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const PolicyConfig policy = policy_of("int4", random() % 50);
    const std::size_t tail_rows = storage_tail(policy);
    std::vector<std::uint32_t> body;
    std::vector<std::uint32_t> tail;
    std::size_t rows = 0;
    for (int head = 0; head < 6; ++head) {
      const std::size_t own = random() % 200;
      tail.push_back(static_cast<std::uint32_t>(std::min(own, tail_rows)));
      body.push_back(static_cast<std::uint32_t>(own) - tail.back());
      rows += own;
    }
    const std::size_t held = bytes_of(body, DType::kInt4) + bytes_of(tail, DType::kF16);
    const std::size_t making = bytes_of(body, DType::kInt4) + bytes_of(body, DType::kF16);
    const KeptBytes most = most_kept_bytes(policy, small_model(), 6, rows, DType::kF16);
    ASSERT_LE(held, most.held);
    ASSERT_LE(std::max(held, making), most.making);
    ASSERT_EQ(most_kept_bytes(policy_of("float"), small_model(), 6, rows, DType::kF16).held,
              bytes_of({static_cast<std::uint32_t>(rows)}, DType::kF16));
  }
}

TEST(KeptBytes, AreKnownBeforeUnlessTheTextDecides) {
  EXPECT_TRUE(is_known_before(find_preset("pyramidkv")->policy));
  EXPECT_FALSE(is_known_before(find_preset("zigzagkv")->policy));
  PolicyConfig ada = find_preset("adakv")->policy;
  EXPECT_TRUE(is_known_before(ada));  // as floats, whoever has the rows
  ada.storage = make_component("int4");
  EXPECT_FALSE(is_known_before(ada));
}

}  // namespace
}  // namespace varve
