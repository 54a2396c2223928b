// An answer does not depend on how it was computed: bit-equal logits for every count of ranks,
// chunk size, in-flight limit, count of threads, and for a question alone or among eight.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"
#include "tests/worker/pipeline/pipeline_run.h"

namespace varve {
namespace {

const std::vector<std::size_t> kAll = {0, 1, 2, 3, 4, 5, 6, 7};

class Invariance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    write_tiny_model(folder_.path() / "tiny.gguf");
    base_.model = (folder_.path() / "tiny.gguf").string();
    base_.backend = GetParam();
    base_.questions = kAll;
    whole_ = run_on_threads(base_, 1);
    ASSERT_EQ(whole_.tokens.size(), 8U);
    ASSERT_EQ(whole_.logits.size(), 8U * base_.answer_tokens);
  }

  TempFolder folder_;
  PipelineCase base_;
  Outcome whole_;
};

TEST_P(Invariance, TheAnswersAreNotTrivial) {
  std::set<std::vector<std::int32_t>> answers;
  for (const auto& [q, tokens] : whole_.tokens) answers.insert(tokens);
  EXPECT_GT(answers.size(), 5U);
}

TEST_P(Invariance, RanksChunksAndInFlightLimits) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (const std::uint32_t chunk : {1U, 7U, 64U, 512U}) {
      PipelineCase c = base_;
      c.chunk = chunk;
      c.in_flight = static_cast<std::uint64_t>(1 + (ranks + static_cast<int>(chunk)) % 4);
      SCOPED_TRACE(testing::Message()
                   << ranks << " ranks, chunk " << chunk << ", in flight " << c.in_flight);
      expect_same(run_on_threads(c, ranks), whole_, true, true);
    }
  }
}

TEST_P(Invariance, EveryInFlightLimit) {
  for (std::uint64_t in_flight = 1; in_flight <= 4; ++in_flight) {
    PipelineCase c = base_;
    c.in_flight = in_flight;
    c.chunk = 7;
    SCOPED_TRACE(in_flight);
    expect_same(run_on_threads(c, 3), whole_, true, true);
  }
}

TEST_P(Invariance, AQuestionAloneOrAmongEight) {
  for (const std::size_t q : kAll) {
    PipelineCase c = base_;
    c.questions = {q};
    SCOPED_TRACE(q);
    expect_same(run_on_threads(c, 2), whole_, true, true);
  }
}

TEST_P(Invariance, Threads) {
  PipelineCase c = base_;
  c.threads = 3;
  expect_same(run_on_threads(c, 1), whole_, true, true);
}

INSTANTIATE_TEST_SUITE_P(Backends, Invariance, testing::Values("reference", "cpu"));

// 30 layers do not divide by 4.
TEST(RealModelInvariance, RanksAndChunks) {
  const char* model = std::getenv("VARVE_SMOLLM2");
  if (model == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
  PipelineCase base{.model = model,
                    .layers = 30,
                    .chunk = 512,
                    .questions = {0, 1, 2},
                    .prefix_rows = 96,
                    .vocab = 49152,
                    .answer_tokens = 3};
  base.threads = 2;
  const Outcome whole = run_on_threads(base, 1);
  const std::vector<std::pair<int, std::uint32_t>> cases = {
      {2, 64}, {3, 7}, {4, 512}, {5, 64}, {1, 1}};
  for (const auto& [ranks, chunk] : cases) {
    PipelineCase c = base;
    c.chunk = chunk;
    c.threads = 1;
    SCOPED_TRACE(testing::Message() << ranks << " ranks, chunk " << chunk);
    expect_same(run_on_threads(c, ranks), whole, true, true);
  }
}

}  // namespace
}  // namespace varve
