#include "worker/cache/stage_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace varve {
namespace {

ModelConfig tiny_model() {
  ModelConfig model;
  model.layers = 4;
  model.q_heads = 4;
  model.kv_heads = 2;
  model.head_dim = 8;
  return model;
}

// A step's matrices with random content, [T, heads * D].
struct Rows {
  std::vector<float> q, k, v, out, lse;
  std::vector<std::int32_t> positions;
  std::size_t count = 0;

  ConstMatrix matrix(const std::vector<float>& data) const {
    return {data.data(), count, data.size() / count, data.size() / count};
  }
  Partial partial() {
    return {{out.data(), count, out.size() / count, out.size() / count},
            {lse.data(), count, lse.size() / count, lse.size() / count}};
  }
};

// The content of a row depends on its position and on `salt` alone, so that two sequences with the
// same salts hold the same rows.
Rows make_rows(const ModelConfig& m, const std::vector<std::pair<std::int32_t, int>>& at_salt) {
  Rows rows;
  rows.count = at_salt.size();
  const auto fill = [&](std::vector<float>& data, std::size_t width, int kind) {
    for (const auto& [position, salt] : at_salt) {
      std::mt19937 random(static_cast<unsigned>(position * 1000 + salt * 10 + kind));
      std::normal_distribution<float> normal;
      for (std::size_t i = 0; i < width; ++i) data.push_back(normal(random));
    }
  };
  fill(rows.q, m.q_width(), 1);
  fill(rows.k, m.kv_width(), 2);
  fill(rows.v, m.kv_width(), 3);
  rows.out.resize(rows.count * m.q_width());
  rows.lse.resize(rows.count * m.q_heads);
  for (const auto& [position, salt] : at_salt) rows.positions.push_back(position);
  return rows;
}

Step open_step(std::uint32_t sequence, std::uint32_t parent, std::uint32_t capacity) {
  Step step;
  step.kind = StepKind::kOpen;
  step.sequence = sequence;
  step.parent = parent;
  step.capacity = capacity;
  step.prompt_rows = capacity;
  return step;
}

class StageCacheTest : public testing::TestWithParam<std::string> {
 protected:
  std::vector<float> attend(StageCache& cache, std::size_t layer,
                            const std::vector<SequenceRows>& sequences, Rows rows) {
    const AttendParams params{.q_heads = model_.q_heads, .scale = 1 / std::sqrt(8.0F)};
    const Matrix k{rows.k.data(), rows.count, model_.kv_width(), model_.kv_width()};
    cache.attend(layer, sequences, rows.positions, rows.matrix(rows.q), k, rows.matrix(rows.v),
                 params, rows.partial());
    return rows.out;
  }
  std::vector<std::pair<std::int32_t, int>> span(std::int32_t begin, std::int32_t end, int salt) {
    std::vector<std::pair<std::int32_t, int>> rows;
    for (std::int32_t p = begin; p < end; ++p) rows.emplace_back(p, salt);
    return rows;
  }

  ModelConfig model_ = tiny_model();
  LayerRange layers_{1, 3};
  std::unique_ptr<Ops> ops_ = make_ops(GetParam(), 1);
};

TEST_P(StageCacheTest, AForkSeesItsParentsRowsAndNotItsSiblings) {
  StageCache cache(model_, layers_, {.dtype = DType::kF32}, *ops_);
  cache.open(open_step(0, kNoSequence, 5));
  attend(cache, 1, {{0, 0, 5, false}}, make_rows(model_, span(0, 5, 7)));
  cache.open(open_step(1, 0, 3));
  cache.open(open_step(2, 0, 3));
  // Sibling 2 has taken other rows at the same positions before 1 takes its own.
  attend(cache, 1, {{2, 5, 2, false}}, make_rows(model_, span(5, 7, 99)));
  const auto forked = attend(cache, 1, {{1, 5, 3, false}}, make_rows(model_, span(5, 8, 7)));

  StageCache alone(model_, layers_, {.dtype = DType::kF32}, *ops_);
  alone.open(open_step(0, kNoSequence, 8));
  const auto whole = attend(alone, 1, {{0, 0, 8, false}}, make_rows(model_, span(0, 8, 7)));
  // Two segments fold by (out, lse), one segment in one go: equal within rounding.
  for (std::size_t i = 0; i < forked.size(); ++i) {
    EXPECT_NEAR(forked[i], whole[5 * model_.q_width() + i], 1e-6) << i;
  }
}

TEST_P(StageCacheTest, QuestionsTogetherGiveTheBitsOfEachAlone) {
  const auto ask = [&](const std::vector<int>& salts) {
    StageCache cache(model_, layers_, {.dtype = DType::kF16}, *ops_);
    cache.open(open_step(0, kNoSequence, 70));
    attend(cache, 2, {{0, 0, 70, false}}, make_rows(model_, span(0, 70, 0)));
    std::vector<SequenceRows> sequences;
    std::vector<std::pair<std::int32_t, int>> rows;
    for (std::size_t i = 0; i < salts.size(); ++i) {
      const auto id = static_cast<std::uint32_t>(i + 1);
      cache.open(open_step(id, 0, 4));
      sequences.push_back({id, 70, 2, true});
      rows.emplace_back(70, salts[i]);
      rows.emplace_back(71, salts[i]);
    }
    return attend(cache, 2, sequences, make_rows(model_, rows));
  };
  const auto together = ask({11, 12, 13});
  const std::size_t width = 2 * model_.q_width();
  for (int i = 0; i < 3; ++i) {
    const auto alone = ask({11 + i});
    const std::vector<float> mine(together.begin() + static_cast<std::ptrdiff_t>(i * width),
                                  together.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
    EXPECT_EQ(alone, mine) << "question " << i;
  }
}

TEST_P(StageCacheTest, TheLedgerEqualsThePlanAndReturnsToZero) {
  StageCache cache(model_, layers_, {.dtype = DType::kBF16}, *ops_);
  const auto rows_of = [&](std::size_t n) { return 2 * segment_bytes(model_, n, DType::kBF16); };
  cache.open(open_step(0, kNoSequence, 100));
  EXPECT_EQ(cache.ledger().current(), rows_of(100));
  cache.open(open_step(1, 0, 10));
  cache.open(open_step(2, 0, 20));
  EXPECT_EQ(cache.ledger().current(), rows_of(100) + rows_of(10) + rows_of(20));
  cache.release(1);
  EXPECT_EQ(cache.ledger().current(), rows_of(100) + rows_of(20));
  cache.release(0);  // the fork still reads the shared rows
  EXPECT_EQ(cache.ledger().current(), rows_of(100) + rows_of(20));
  cache.release(2);
  EXPECT_EQ(cache.ledger().current(), 0U);
  EXPECT_EQ(cache.ledger().peak(), rows_of(100) + rows_of(10) + rows_of(20));
}

TEST_P(StageCacheTest, BreakingTheRulesIsABug) {
  StageCache cache(model_, layers_, {.dtype = DType::kF32}, *ops_);
  cache.open(open_step(0, kNoSequence, 2));
  EXPECT_THROW(cache.open(open_step(0, kNoSequence, 2)), std::logic_error);
  EXPECT_THROW(cache.release(9), std::logic_error);
  EXPECT_THROW(attend(cache, 1, {{0, 0, 3, false}}, make_rows(model_, span(0, 3, 1))),
               std::logic_error);
  attend(cache, 1, {{0, 0, 1, false}}, make_rows(model_, span(0, 1, 1)));
  cache.open(open_step(1, 0, 2));
  EXPECT_THROW(attend(cache, 1, {{0, 1, 1, false}}, make_rows(model_, span(1, 2, 1))),
               std::logic_error)
      << "a parent's rows are sealed";
}

INSTANTIATE_TEST_SUITE_P(Backends, StageCacheTest, testing::Values("reference", "cpu"));

}  // namespace
}  // namespace varve
