// An answer does not depend on how it was computed: bit-equal logits for every count of ranks,
// chunk size, in-flight limit, count of threads, and for a question alone or among eight; on every
// instruction set that this machine has.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "tests/kernels/fixtures.h"
#include "tests/support/sanitized.h"
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

const auto kName = [](const auto& info) { return test::test_name(info.param); };
// A sanitizer watches the threads and buffers of the pipeline, which are the same whatever the
// instruction set; tests/kernels shows it each set's kernels.
std::vector<std::string> pipeline_backends() {
  return kSanitized ? std::vector{test::fast_backends().front()} : test::all_backends();
}
INSTANTIATE_TEST_SUITE_P(Backends, Invariance, testing::ValuesIn(pipeline_backends()), kName);

// Some instruction sets try more than the others.
class RealModelInvariance : public testing::TestWithParam<std::string> {
 protected:
  struct Way {
    int ranks;
    std::uint32_t chunk;
    std::uint64_t in_flight;
    std::vector<std::size_t> questions;
  };

  static std::vector<Way> ways() {
    const std::vector<std::size_t> three = {0, 1, 2};
    // 30 layers do not divide by 4.
    std::vector<Way> ways = {{4, 64, 3, three}, {2, 7, 2, {1}}};
    if (!test::tried_in_full(GetParam())) return ways;
    ways.insert(ways.end(), {{2, 64, 1, three},
                             {3, 7, 2, three},
                             {4, 512, 4, three},
                             {5, 64, 2, kAll},
                             {1, 1, 1, {2}}});
    return ways;
  }
};

TEST_P(RealModelInvariance, RanksChunksLimitsAndQuestions) {
  const char* model = std::getenv("VARVE_SMOLLM2");
  if (model == nullptr) GTEST_SKIP() << "VARVE_SMOLLM2 names the model's file";
  if (kSanitized || GetParam().starts_with("cuda")) {
    GTEST_SKIP() << "the tiny model takes the same paths";
  }
  PipelineCase c{.model = model,
                 .backend = GetParam(),
                 .layers = 30,
                 .chunk = 512,
                 .threads = 2,
                 .questions = kAll,
                 .prefix_rows = 96,
                 .vocab = 49152,
                 .answer_tokens = 3};
  const Outcome whole = run_on_threads(c, 1);
  c.threads = 1;
  for (const Way& way : ways()) {
    c.chunk = way.chunk;
    c.in_flight = way.in_flight;
    c.questions = way.questions;
    SCOPED_TRACE(testing::Message() << way.ranks << " ranks, chunk " << way.chunk);
    expect_same(run_on_threads(c, way.ranks), whole, true, true);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, RealModelInvariance, testing::ValuesIn(test::fast_backends()),
                         kName);

}  // namespace
}  // namespace varve
